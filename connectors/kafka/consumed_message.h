#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kafka/record.h"
#include "weir/time.h"

namespace weir::kafka {

/// A message as it was read. The views are valid during the deserializer's call only.
struct ConsumedMessage {
  std::string_view topic;
  std::int32_t partition = 0;
  std::int64_t offset = 0;
  TimestampMs timestamp = kMinTimestamp;  ///< kMinTimestamp = the message carries none
  std::optional<std::string_view> key;
  std::optional<std::string_view> value;  ///< nothing = tombstone
  const void* native = nullptr;           ///< the client's message, for headers()

  /// Copies of the headers; read only when asked for.
  std::vector<Header> headers() const;
};

/// A message that could not be deserialized, with all that is needed to look into it later.
struct BadRecord {
  std::string topic;
  std::int32_t partition = 0;
  std::int64_t offset = 0;
  TimestampMs timestamp = kMinTimestamp;
  std::string error;
  std::optional<std::string> key;
  std::optional<std::string> value;
};

/// What a source with a dead-letter policy emits: either a value or the bad record.
///
/// Route them like this, so that the dead letters are written in the same checkpoint epoch as the
/// results and are as exactly-once as these:
///
///   auto parsed = env.from_source(builder.build_with_bad_records(), ...);
///   parsed.filter([](const kafka::Parsed<Order>& p) { return p.bad.has_value(); })
///       .sink_to(kafka::KafkaSink<kafka::Parsed<Order>>::builder()
///                    .set_topic("orders-dead-letter")
///                    .set_record_serializer([](const kafka::Parsed<Order>& p, TimestampMs,
///                                              kafka::Record& out) {
///                      kafka::write_dead_letter(*p.bad, out);
///                    }) ... .build());
///   auto orders = parsed.filter([](const auto& p) { return p.value.has_value(); })
///                     .map([](const auto& p) { return *p.value; });
template <class T>
struct Parsed {
  std::optional<T> value;
  std::optional<BadRecord> bad;
};

/// The dead-letter form: key and value as they were, and where they come from and what was wrong
/// in headers "weir.topic", "weir.partition", "weir.offset", "weir.error".
void write_dead_letter(const BadRecord& bad, Record& out);

}  // namespace weir::kafka
