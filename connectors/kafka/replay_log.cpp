#include "kafka/replay_log.h"

#include "base/crc32c.h"
#include "weir/check.h"
#include "weir/codec.h"

namespace weir::kafka {
namespace {

constexpr std::string_view kMagic = "WKRL0001";
constexpr std::size_t kHeaderSize = 8 + 4 + 4 + 8;
constexpr std::uint8_t kHasKey = 1;
constexpr std::uint8_t kIsTombstone = 2;
constexpr std::uint8_t kHasPartition = 4;
constexpr std::uint8_t kHasTimestamp = 8;
constexpr std::uint8_t kHasTopic = 16;
constexpr std::uint8_t kHasHeaders = 32;
constexpr std::uint8_t kAllFlags = 63;

Error corrupt(const std::string& what) {
  return Error{ErrorCode::kCorruption, "kafka: replay log: " + what};
}

std::uint8_t flags_of(const Record& record) {
  unsigned flags = 0;
  flags |= record.key.has_value() ? kHasKey : 0U;
  flags |= record.is_tombstone ? kIsTombstone : 0U;
  flags |= record.partition.has_value() ? kHasPartition : 0U;
  flags |= record.timestamp.has_value() ? kHasTimestamp : 0U;
  flags |= record.topic.empty() ? 0U : kHasTopic;
  flags |= record.headers.empty() ? 0U : kHasHeaders;
  return static_cast<std::uint8_t>(flags);
}

Record decode_record(Decoder& in) {
  Record record;
  const auto flags = in.raw<std::uint8_t>();
  if ((flags & ~kAllFlags) != 0) {
    in.fail();
  }
  if ((flags & kHasTopic) != 0) {
    Codec<std::string>::decode(in, record.topic);
  }
  if ((flags & kHasPartition) != 0) {
    record.partition = in.raw<std::int32_t>();
  }
  if ((flags & kHasTimestamp) != 0) {
    record.timestamp = in.raw<std::int64_t>();
  }
  if ((flags & kHasKey) != 0) {
    Codec<std::string>::decode(in, record.key.emplace());
  }
  record.is_tombstone = (flags & kIsTombstone) != 0;
  if (!record.is_tombstone) {
    Codec<std::string>::decode(in, record.value);
  }
  if ((flags & kHasHeaders) != 0) {
    Codec<std::vector<Header>>::decode(in, record.headers);
  }
  return record;
}

}  // namespace

void ReplayLogBuilder::append(const Record& record) {
  Encoder out(body_);
  out.raw(flags_of(record));
  if (!record.topic.empty()) {
    Codec<std::string>::encode(record.topic, out);
  }
  if (record.partition.has_value()) {
    out.raw(*record.partition);
  }
  if (record.timestamp.has_value()) {
    out.raw(*record.timestamp);
  }
  if (record.key.has_value()) {
    Codec<std::string>::encode(*record.key, out);
  }
  if (!record.is_tombstone) {
    Codec<std::string>::encode(record.value, out);
  }
  if (!record.headers.empty()) {
    Codec<std::vector<Header>>::encode(record.headers, out);
  }
  ++record_count_;
}

std::string ReplayLogBuilder::take_chunk() {
  WEIR_CHECK(!empty());
  std::string chunk;
  chunk.reserve(kHeaderSize + body_.size() + 4);
  Encoder out(chunk);
  out.bytes(kMagic.data(), kMagic.size());
  out.raw(chunk_number_++);
  out.raw(record_count_);
  out.raw(static_cast<std::uint64_t>(body_.size()));
  out.bytes(body_.data(), body_.size());
  out.raw(crc32c(chunk));
  body_.clear();
  record_count_ = 0;
  return chunk;
}

Result<std::vector<Record>> decode_replay_chunk(std::string_view bytes,
                                                std::uint32_t chunk_number) {
  if (bytes.size() < kHeaderSize + 4 || bytes.substr(0, kMagic.size()) != kMagic) {
    return corrupt("not a replay log chunk, or cut");
  }
  Decoder tail(bytes.substr(bytes.size() - 4));
  if (tail.raw<std::uint32_t>() != crc32c(bytes.substr(0, bytes.size() - 4))) {
    return corrupt("checksum of chunk " + std::to_string(chunk_number) + " is wrong");
  }
  Decoder in(bytes.substr(kMagic.size(), bytes.size() - kMagic.size() - 4));
  const auto number = in.raw<std::uint32_t>();
  const auto count = in.raw<std::uint32_t>();
  const auto body_size = in.raw<std::uint64_t>();
  if (number != chunk_number || body_size != in.remaining() || count > body_size) {
    return corrupt("chunk " + std::to_string(number) + " where " + std::to_string(chunk_number) +
                   " belongs, or a wrong length");
  }
  std::vector<Record> records;
  records.reserve(count);
  for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
    records.push_back(decode_record(in));
  }
  if (!in.exhausted()) {
    return corrupt("malformed record in chunk " + std::to_string(chunk_number));
  }
  return records;
}

}  // namespace weir::kafka
