#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "weir/key_group.h"
#include "weir/result.h"
#include "weir/state_table.h"
#include "weir/time.h"

/// The state file: docs/formats/state-file.md. This header holds what reader and writer share.
namespace weir::state {

inline constexpr std::string_view kStateFileMagic = "weirstat";
inline constexpr std::uint32_t kStateFileVersion = 3;
/// Blocks may be compressed: from the first of these versions on, and as they are written now.
inline constexpr std::uint32_t kFirstCompressedStateFileVersion = 4;
inline constexpr std::uint32_t kCompressedStateFileVersion = 5;
inline constexpr std::uint32_t kStateFileVersionMax = kCompressedStateFileVersion;  ///< is read
/// Of a block file's header, and of what precedes a block's payload.
inline constexpr std::uint64_t kFileHeaderBytes = 16;
inline constexpr std::uint64_t kBlockHeaderBytes = 8;
inline constexpr std::size_t kBlockBytesTarget = std::size_t{1} << 20;
/// More than this in one key or value is refused when it is written.
inline constexpr std::size_t kItemBytesMax = std::size_t{1} << 28;

enum class StateKind : std::uint8_t { kTable = 1, kTimers = 2 };
inline constexpr std::uint8_t kEntryBlock = 1;
inline constexpr std::uint8_t kIndexBlock = 2;
/// Key group of a run whose entries belong to any key groups of the file.
inline constexpr std::uint32_t kMixedGroups = std::numeric_limits<std::uint32_t>::max();

/// First bytes of an entry block's payload.
struct EntryBlockHeader {
  std::uint8_t kind = kEntryBlock;
  std::uint8_t padding[3] = {};
  std::uint32_t entries = 0;
};
static_assert(sizeof(EntryBlockHeader) == 8);

/// Set in RunHeader::state: the run names keys that were erased, without values.
inline constexpr std::uint32_t kErasedRun = 0x8000'0000U;

/// Entries of one (state, key group, namespace); `bytes` of them follow.
struct RunHeader {
  std::uint32_t state = 0;  ///< number of the state, and kErasedRun
  std::uint32_t key_group = 0;
  StateNamespace ns = 0;
  std::uint32_t count = 0;
  std::uint32_t bytes = 0;
};
static_assert(sizeof(RunHeader) == 24);
constexpr std::uint32_t state_number(const RunHeader& run) { return run.state & ~kErasedRun; }
constexpr bool is_erased_run(const RunHeader& run) { return (run.state & kErasedRun) != 0; }

struct StateSchema {
  StateKind kind = StateKind::kTable;
  std::string name;
  std::string key_schema;
  std::string value_schema;
  std::uint32_t key_size = 0;    ///< bytes of every encoded key, 0 = a varint length precedes each
  std::uint32_t value_size = 0;  ///< the same for values

  static StateSchema of(StateKind kind, std::string name, const TypeOps& key, const TypeOps& value);
  /// Fewest bytes an entry can take.
  std::size_t entry_bytes_min() const;
  /// Fewest bytes an erased key can take.
  std::size_t erased_bytes_min() const;
  bool has_fixed_entries() const { return key_size != 0 && value_size != 0; }
  friend bool operator==(const StateSchema&, const StateSchema&) = default;
};

/// Whether they are one state, be their types the same or not.
inline bool is_same_state(const StateSchema& a, const StateSchema& b) {
  return a.kind == b.kind && a.name == b.name;
}

struct StateFileIndex {
  struct State {
    StateSchema schema;
    std::uint64_t entries = 0;
    std::uint64_t live = 0;               ///< entries at the barrier, those in earlier files too
    std::uint64_t erased = 0;             ///< keys in runs of erased ones
    std::vector<StateNamespace> dropped;  ///< ahead of everything else in the file
  };
  struct Block {
    std::uint64_t offset = 0;  ///< of the block in the file
    std::uint32_t payload_bytes = 0;
    std::uint32_t entries = 0;  ///< and erased keys
    std::uint32_t first_state = 0;
    std::uint32_t last_state = 0;
    KeyGroupRange key_groups;
  };
  std::string owner;
  int max_parallelism = 0;
  KeyGroupRange key_groups;
  /// A delta holds what changed after the snapshot of `since`, and is read after that one's files.
  CheckpointId checkpoint = 0;  ///< 0: of a file that no delta builds on
  CheckpointId since = 0;       ///< 0: everything there was
  /// Of these the file holds every entry: of all in a base, of some or none in a delta. Once a
  /// later file of a chain is whole in a key group, those before it are not needed for that one.
  KeyGroupRange whole;
  std::vector<State> states;
  std::vector<Block> blocks;
  std::uint64_t entries = 0;  ///< without erased keys

  std::string encode() const;
  /// Checks everything that can be checked without the blocks. The error does not name the file.
  static Result<StateFileIndex> decode(std::string_view payload, std::uint32_t version);
};

/// Whether files that are whole in these key groups make all of `key_groups`: then they need no
/// earlier ones.
bool are_whole(const std::vector<KeyGroupRange>& whole, KeyGroupRange key_groups);

/// One entry inside a run.
struct EncodedEntry {
  std::uint32_t hash = 0;
  std::string_view key;    ///< without its length
  std::string_view value;  ///< without its length
};

/// Takes the first entry off `bytes`, of a run of erased keys one without a value. False if that is
/// not a whole entry.
bool next_entry(const StateSchema& schema, bool is_erased, std::string_view& bytes,
                EncodedEntry& entry);

/// A run whose entries are still encoded.
struct EncodedRun {
  RunHeader header;
  std::string_view entries;
};
/// Takes the first run off `bytes`, the rest of an entry block. False if there is no whole one.
bool next_run(std::string_view& bytes, EncodedRun& run);

}  // namespace weir::state
