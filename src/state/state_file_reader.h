#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "io/block_file.h"
#include "io/file_system.h"
#include "state/key_group_index.h"
#include "state/snapshot.h"
#include "state/state_file.h"

namespace weir::state {

/// Reads one state file. The bytes may be hostile: nothing is allocated by a number that was not
/// compared with what the file can hold.
class StateFileReader {
 public:
  /// Reads the whole file once: all checksums, the manifest's length and CRC, the structure of
  /// all blocks and the index's counts. What is left for read_state() to find is an entry that
  /// does not decode.
  static Result<StateFileReader> open(FileSystem& files, const RestoreFile& file);

  /// Offsets of blocks are where they are in the file.
  const StateFileIndex& index() const { return index_; }
  const std::string& path() const { return path_; }

  /// Hands over the runs of a state that may hold entries of `key_groups`. The views are valid
  /// during the call.
  using RunVisitor = std::function<Status(const EncodedRun& run)>;
  Status read_state(std::uint32_t state, KeyGroupRange key_groups, const RunVisitor& visit) const;

  Error damaged(std::string_view what) const;

 private:
  StateFileReader(BlockFileReader blocks, std::string path)
      : blocks_(std::move(blocks)), path_(std::move(path)) {}

  /// An entry block's payload as it was before it was compressed.
  struct Entries {
    std::string_view bytes;
    std::unique_ptr<std::string> owned;  ///< what `bytes` is of, if it was
  };
  std::optional<Entries> entries_of(std::string_view payload) const;
  static Result<StateFileReader> open_and_scan(FileSystem& files, const std::string& path);
  Status scan();

  BlockFileReader blocks_;
  std::string path_;
  StateFileIndex index_;
};

/// Calls visit(EncodedEntry) for the entries of `run` in the key groups of `wanted`. Fails on an
/// entry that is not whole or in another key group than the run says.
Status for_each_entry(const StateSchema& schema, const EncodedRun& run, const KeyGroupIndex& wanted,
                      const std::function<Status(const EncodedEntry&)>& visit);

/// The same for entries of fixed sizes, all at once and still encoded: those in the key groups of
/// `wanted`, in `run` or, where they do not lie together there, in `scratch`.
/// REQUIRES: schema.has_fixed_entries(), and the run is not of erased keys.
Result<std::string_view> fixed_entries(const StateSchema& schema, const EncodedRun& run,
                                       const KeyGroupIndex& wanted, std::string& scratch);

}  // namespace weir::state
