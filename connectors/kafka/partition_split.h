#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "weir/result.h"
#include "weir/source.h"

namespace weir::kafka {

inline constexpr std::int64_t kNoStopOffset = -1;

/// One partition and how far it was read. SourceSplit::state is its encoded form.
struct PartitionSplit {
  std::uint32_t format = 1;
  std::string topic;
  std::int32_t partition = 0;
  std::string topic_id;                      ///< hexadecimal; empty when the brokers give none
  std::int64_t position = 0;                 ///< offset of the next message
  std::int64_t stop_offset = kNoStopOffset;  ///< read up to, not including, it
};

std::string split_id(const PartitionSplit& split);
SourceSplit to_source_split(const PartitionSplit& split);
Result<PartitionSplit> from_source_split(const SourceSplit& split);

/// A partition the enumerator knows.
struct KnownPartition {
  PartitionSplit split;  ///< as it was handed out, or will be
  bool is_assigned = false;
};
struct EnumeratorState {
  std::uint32_t format = 1;
  bool has_discovered = false;  ///< the first round is over: new partitions start at earliest
  std::vector<KnownPartition> partitions;
};
Result<EnumeratorState> decode_enumerator_state(const std::string& bytes);

/// Flink's owner of a partition: ((javaHash(topic) * 31) & 0x7fffffff) % readers, then by number.
int owner_of(const std::string& topic, std::int32_t partition, int reader_count);

}  // namespace weir::kafka
