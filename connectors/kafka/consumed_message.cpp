#include "kafka/consumed_message.h"

#include <librdkafka/rdkafka.h>

namespace weir::kafka {

std::vector<Header> ConsumedMessage::headers() const {
  std::vector<Header> found;
  const auto* const message = static_cast<const rd_kafka_message_t*>(native);
  rd_kafka_headers_t* headers = nullptr;
  if (message == nullptr ||
      rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return found;
  }
  const char* name = nullptr;
  const void* bytes = nullptr;
  std::size_t size = 0;
  for (std::size_t i = 0;
       rd_kafka_header_get_all(headers, i, &name, &bytes, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
       ++i) {
    Header& header = found.emplace_back();
    header.name = name;
    if (bytes != nullptr) {
      header.value.emplace(static_cast<const char*>(bytes), size);
    }
  }
  return found;
}

void write_dead_letter(const BadRecord& bad, Record& out) {
  out.key = bad.key;
  out.is_tombstone = !bad.value.has_value();
  out.value = bad.value.value_or("");
  if (bad.timestamp != kMinTimestamp) {
    out.timestamp = bad.timestamp;
  }
  out.headers = {{"weir.topic", bad.topic},
                 {"weir.partition", std::to_string(bad.partition)},
                 {"weir.offset", std::to_string(bad.offset)},
                 {"weir.error", bad.error}};
}

}  // namespace weir::kafka
