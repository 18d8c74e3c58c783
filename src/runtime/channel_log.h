#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "checkpoint/manifest.h"
#include "io/file_system.h"
#include "runtime/element.h"
#include "runtime/memory_budget.h"

namespace weir::runtime {

/// What was under way in the inputs of one task when a barrier overtook it: whole records, in their
/// order, with the watermarks between them. docs/formats/channel-log.md describes the stored form.
class ChannelLog {
 public:
  /// `memory`: what it is taken from; null: it is not counted.
  explicit ChannelLog(MemoryPool* memory = nullptr) : memory_(memory) {}

  /// `watermark` and `is_idle`: of the channel, ahead of everything that is added. Returns the
  /// number to add elements under.
  std::size_t open_channel(int edge, int sender, TimestampMs watermark, bool is_idle);
  /// Batches, watermarks, idleness; others are not part of a log.
  void add(std::size_t channel, const Element& element);
  void add(std::size_t channel, const Batch& batch);

  std::uint64_t size_bytes() const { return size_bytes_; }

  struct StoredChannel {
    int edge = 0;
    checkpoint::ChannelSnapshot snapshot;
  };
  struct Stored {
    checkpoint::FileReference file;  ///< path left empty; length 0 = there was nothing to store
    std::vector<StoredChannel> channels;
  };
  /// Writes the file, unless nothing was under way. Blocks.
  Result<Stored> store(FileSystem& files, const std::string& path) const;

 private:
  struct LoggedChannel {
    StoredChannel stored;
    std::string bytes;
  };

  void count(std::size_t bytes);

  std::vector<LoggedChannel> channels_;
  std::uint64_t size_bytes_ = 0;
  MemoryLease memory_;
};

/// Reads the elements of one channel back. kCorruption names the file. Blocks.
Result<std::deque<Element>> read_channel_log(FileSystem& files, const std::string& path,
                                             const checkpoint::ChannelSnapshot& channel,
                                             const TypeOps& record);

/// Leaves only the records of these key groups. REQUIRES: keyed batches.
void keep_key_groups(std::deque<Element>& elements, KeyGroupRange key_groups, int max_parallelism);

}  // namespace weir::runtime
