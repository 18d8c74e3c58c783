#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "state/entry_layout.h"
#include "state/snapshot.h"
#include "state/state_file.h"
#include "weir/state_table.h"
#include "weir/time.h"

namespace weir::state {

/// How the entries of one state are written.
struct EntryEncoding {
  EntryLayout layout;
  std::uint32_t key_size = 0;           ///< as in StateSchema
  std::uint32_t value_size = 0;         ///< as in StateSchema
  const ValueExpiry* expiry = nullptr;  ///< what has expired is left out
  TimestampMs now_ms = 0;               ///< by this time
};

/// Builds the blocks of one state file on the task thread and submits them to a sink. Two blocks
/// are open at a time: one for the walk over the tables, one for entries that are copied because
/// they are about to be overwritten.
class SnapshotWriter {
 public:
  enum class Stream { kWalk, kBeforeWrite };

  /// `index` names owner, parallelism and key groups; states and blocks are added here.
  SnapshotWriter(std::shared_ptr<SnapshotSink> sink, StateFileIndex index);

  /// Returns the state's number in the file. `live`: its entries at the barrier, in this file and
  /// those it builds on.
  std::uint32_t add_state(StateSchema schema, std::uint64_t live);
  /// The same, once it is known. REQUIRES: the file builds on none.
  void set_live_as_written(std::uint32_t state);

  /// Appends one entry. `key_group` may be kMixedGroups. Returns the bytes it took; none, if all of
  /// it has expired.
  std::size_t append(Stream stream, const RunHeader& run, const EntryEncoding& encoding,
                     const std::byte* entry);
  /// Where entries of `entry_bytes` each of the walk go that the caller writes; at least one. They
  /// count once took() says so.
  struct Room {
    char* to = nullptr;
    std::size_t entries = 0;
  };
  Room room_for(const RunHeader& run, std::size_t entry_bytes);
  void took(std::size_t entries, std::size_t entry_bytes) {
    walk_.used += entries * entry_bytes;
    walk_.run.count += static_cast<std::uint32_t>(entries);
  }
  /// Appends the key of a tombstone.
  std::size_t append_erased(Stream stream, const RunHeader& run, const EntryEncoding& encoding,
                            const std::byte* entry);
  /// The namespace was dropped since the snapshot that this one builds on.
  void add_dropped(std::uint32_t state, StateNamespace ns) {
    index_.states[state].dropped.push_back(ns);
  }
  /// So many appended bytes are of key groups that the file is whole in.
  void add_whole_bytes(std::size_t bytes) { whole_bytes_ += bytes; }
  /// Appends an entry that is encoded already, of any backend. `schema`: of the run's state.
  void append_encoded(const RunHeader& run, const StateSchema& schema, const EncodedEntry& entry);
  /// Appends whole encoded entries.
  void append_run(const RunHeader& run, std::string_view entries);

  /// Submits what is left and the index.
  void finish();

  SnapshotSink& sink() { return *sink_; }
  /// Set when an entry cannot be stored; the snapshot has to be abandoned.
  const std::optional<Error>& error() const { return error_; }

 private:
  struct OpenBlock {
    std::string bytes;  ///< sized to its capacity; `used` of it are filled
    std::size_t used = 0;
    std::size_t run_at = 0;  ///< where the open run's header is; 0 = no run is open
    RunHeader run;
    std::uint32_t entries = 0;
    StateFileIndex::Block summary;
  };

  std::size_t append_unexpired(Stream stream, const RunHeader& run, const EntryEncoding& encoding,
                               const std::byte* entry);
  /// Appends what encoded_ has behind the entry's hash.
  std::size_t append_with_hash(OpenBlock& block, const RunHeader& run, const std::byte* entry);
  /// Makes the open run match `run` and leaves room for `size` bytes.
  void prepare(OpenBlock& block, const RunHeader& run, std::size_t size);
  void start_block(OpenBlock& block, std::size_t size);
  void start_run(OpenBlock& block, const RunHeader& run);
  void close_run(OpenBlock& block);
  void flush(OpenBlock& block);
  void encode_item(const TypeOps& ops, std::uint32_t fixed_size, const std::byte* item);
  /// The same of an item that is encoded. `ops` names it in errors.
  void put_item(const TypeOps& ops, std::uint32_t fixed_size, std::string_view encoded);

  std::shared_ptr<SnapshotSink> sink_;
  StateFileIndex index_;
  std::uint64_t next_offset_ = kFileHeaderBytes;
  std::uint64_t whole_bytes_ = 0;
  OpenBlock walk_;
  OpenBlock before_write_;
  std::string encoded_;
  std::string item_;
  std::optional<Error> error_;
};

}  // namespace weir::state
