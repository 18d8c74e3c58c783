#include "kafka/partition_split.h"

#include "weir/check.h"
#include "weir/codec.h"

namespace weir::kafka {

std::string split_id(const PartitionSplit& split) {
  return split.topic + "-" + std::to_string(split.partition);
}

SourceSplit to_source_split(const PartitionSplit& split) {
  return {split_id(split), encode_value(split)};
}

Result<PartitionSplit> from_source_split(const SourceSplit& split) {
  auto decoded = decode_value<PartitionSplit>(split.state);
  if (!decoded.has_value() || decoded->format != 1 || split_id(*decoded) != split.id) {
    return Error{ErrorCode::kCorruption,
                 "kafka: state of split " + split.id + " is malformed or of a newer format"};
  }
  return *std::move(decoded);
}

Result<EnumeratorState> decode_enumerator_state(const std::string& bytes) {
  auto state = decode_value<EnumeratorState>(bytes);
  if (!state.has_value() || state->format != 1) {
    return Error{ErrorCode::kCorruption,
                 "kafka: enumerator state is malformed or of a newer format"};
  }
  return *std::move(state);
}

int owner_of(const std::string& topic, std::int32_t partition, int reader_count) {
  WEIR_CHECK(reader_count > 0);
  // Java's String.hashCode; topic names are ASCII. Unsigned, because Java's overflow wraps.
  std::uint32_t hash = 0;
  for (const char c : topic) {
    hash = hash * 31 + static_cast<unsigned char>(c);
  }
  const auto first = static_cast<std::int64_t>((hash * 31) & 0x7fffffff) % reader_count;
  return static_cast<int>((first + partition) % reader_count);
}

}  // namespace weir::kafka
