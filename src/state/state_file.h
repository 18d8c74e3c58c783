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

/// The state file: docs/formats/state-file.md. This header holds what reader and writer share.
namespace weir::state {

inline constexpr std::string_view kStateFileMagic = "weirstat";
inline constexpr std::uint32_t kStateFileVersion = 1;
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

/// Entries of one (state, key group, namespace); `bytes` of them follow.
struct RunHeader {
  std::uint32_t state = 0;
  std::uint32_t key_group = 0;
  StateNamespace ns = 0;
  std::uint32_t count = 0;
  std::uint32_t bytes = 0;
};
static_assert(sizeof(RunHeader) == 24);

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
  bool has_fixed_entries() const { return key_size != 0 && value_size != 0; }
  friend bool operator==(const StateSchema&, const StateSchema&) = default;
};

struct StateFileIndex {
  struct State {
    StateSchema schema;
    std::uint64_t entries = 0;
  };
  struct Block {
    std::uint64_t offset = 0;  ///< of the block in the file
    std::uint32_t payload_bytes = 0;
    std::uint32_t entries = 0;
    std::uint32_t first_state = 0;
    std::uint32_t last_state = 0;
    KeyGroupRange key_groups;
  };
  std::string owner;
  int max_parallelism = 0;
  KeyGroupRange key_groups;
  std::vector<State> states;
  std::vector<Block> blocks;
  std::uint64_t entries = 0;

  std::string encode() const;
  /// Checks everything that can be checked without the blocks. The error does not name the file.
  static Result<StateFileIndex> decode(std::string_view payload);
};

/// One entry inside a run.
struct EncodedEntry {
  std::uint32_t hash = 0;
  std::string_view key;    ///< without its length
  std::string_view value;  ///< without its length
};

/// Takes the first entry off `bytes`. False if that is not a whole entry.
bool next_entry(const StateSchema& schema, std::string_view& bytes, EncodedEntry& entry);

/// A run whose entries are still encoded.
struct EncodedRun {
  RunHeader header;
  std::string_view entries;
};
/// Takes the first run off `bytes`, the rest of an entry block. False if there is no whole one.
bool next_run(std::string_view& bytes, EncodedRun& run);

}  // namespace weir::state
