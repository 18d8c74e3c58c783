#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "io/file_system.h"
#include "state/rocksdb/group_counts.h"
#include "state/rocksdb/rocks_layout.h"
#include "state/snapshot.h"
#include "state/state_file.h"
#include "weir/key_group.h"
#include "weir/result.h"

namespace weir::state {

inline constexpr std::string_view kRocksIndexMagic = "weirrock";
inline constexpr std::uint32_t kRocksIndexVersion = 1;
/// RocksDbFile::meta: of the index, and of a table in front of its name.
inline constexpr std::string_view kRocksIndexMeta = "index";
inline constexpr std::string_view kRocksTableMeta = "table:";

/// What belongs to the files of RocksDB in a checkpoint and is not in them:
/// docs/formats/rocksdb.md.
struct RocksIndex {
  struct Namespace {
    StateNamespace ns = 0;
    std::vector<GroupCounts::Count> groups;
  };
  struct Family {
    std::string name;
    KeyGroupRange key_groups;
  };
  struct State {
    StateSchema schema;
    std::vector<Family> families;  ///< ascending by key group, together all of the file's
    std::vector<Namespace> namespaces;
    RocksLayout layout = RocksLayout::kAsInStateFiles;
  };
  struct Table {
    std::string name;  ///< in RocksDB's directory: "000012.sst"
    std::uint64_t length_bytes = 0;
    std::uint32_t crc32c = 0;
  };

  std::string owner;
  int max_parallelism = 0;
  KeyGroupRange key_groups;
  CheckpointId checkpoint = 0;
  std::vector<State> states;
  std::vector<Table> tables;
  std::string manifest_name;
  std::string manifest;
  std::string current;

  std::string encode() const;
  static Result<RocksIndex> decode(std::string_view bytes);
};

/// Writes the index; its bytes are durable afterwards, the name after sync_directory.
Result<FileSummary> write_rocks_index(FileSystem& files, const std::string& path,
                                      const RocksIndex& index);
/// Verifies the file against the manifest first.
Result<RocksIndex> read_rocks_index(FileSystem& files, const RestoreFile& file);

}  // namespace weir::state
