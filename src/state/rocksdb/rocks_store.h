#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <rocksdb/db.h>

#include "state/rocksdb/parallel_work.h"
#include "state/rocksdb/rocks_filter.h"
#include "state/rocksdb/rocks_memory.h"
#include "state/rocksdb/rocksdb_settings.h"
#include "weir/key_group.h"
#include "weir/result.h"

namespace weir::state {

/// The same failure of working files, with what may be done about it.
Error with_mend(Error error);

/// One RocksDB instance in a directory of its own, which goes with it. What is written comes as
/// whole sorted files (ingest), so there is no log and nothing in memory that a flush would have to
/// save: the files are the state. Thread-safe, but for adding families.
class RocksStore {
 public:
  /// A column family: the entries of one state in some key groups.
  struct Family {
    std::string name;
    KeyGroupRange key_groups;
    rocksdb::ColumnFamilyHandle* handle = nullptr;
    std::shared_ptr<RocksFilter> filter;
    int runs_max = 0;  ///< sorted runs that make a compaction due; 0: as the family was opened
  };
  struct Options {
    std::string owner;  ///< names the operator in errors
    RocksDbSettings settings;
    std::shared_ptr<RocksMemory> memory;
    std::shared_ptr<RocksDirectory> directory;
    bool has_compactions = true;  ///< false: files stay as they come
    Helpers transfers;            ///< for files that are stored or restored
  };
  struct FamilySpec {
    std::string name;
    KeyGroupRange key_groups;
  };

  /// Opens the files in `path`, from next_path(), with these families; without any, a new instance.
  static Result<std::unique_ptr<RocksStore>> open(Options options, std::string path,
                                                  const std::vector<FamilySpec>& families);
  ~RocksStore();

  Result<Family*> add_family(const std::string& name, KeyGroupRange key_groups);
  /// Adds the family `name` of another instance, cut to `key_groups`. The files are linked, none is
  /// read through.
  Result<Family*> import(RocksStore& from, const std::string& name, const std::string& new_name,
                         KeyGroupRange key_groups);
  Status drop_family(Family* family);
  /// Files that are older are compacted when the family changes. 0: age is no reason.
  Status set_compaction_period(Family& family, DurationMs period);
  Family* family(const std::string& name);

  /// A sorted file of one family, to be made durable in RocksDB's sense by ingest().
  struct SortedFile {
    Family* family;
    std::string path;
  };
  /// All files or none. One thread at a time.
  Status ingest(const std::vector<SortedFile>& files);
  /// Compactions have fallen so far behind that whoever writes should wait for them.
  bool is_far_behind() const { return is_far_behind_.load(std::memory_order_relaxed); }
  /// Returns when one has ended, or after `most`. On the thread that adds families.
  void wait_for_compactions(std::chrono::milliseconds most);

  /// How the instance is doing.
  struct Figures {
    std::uint64_t table_bytes = 0;               ///< on disk, of all files in use
    std::uint64_t pending_compaction_bytes = 0;  ///< that RocksDB thinks it should rewrite
  };
  Figures figures() const;

  /// For rocksdb::SstFileWriter.
  const rocksdb::Options& sorted_file_options() const { return sorted_file_options_; }
  std::string next_sorted_path();

  /// The files that make the state as it is now.
  struct LiveFile {
    std::string name;
    std::string link;  ///< a name of the same file that stays until the caller removes it
    std::uint64_t length_bytes = 0;
    std::optional<std::uint32_t> crc32c;  ///< by RocksDB, when it wrote the file
  };
  struct LiveFiles {
    std::string link_directory;  ///< for the caller to remove
    std::vector<LiveFile> tables;
    std::string manifest_name;
    std::string manifest;  ///< content
    std::string current;   ///< content
  };
  /// `link_directory` must not exist yet. After a failure it does not exist either.
  Result<LiveFiles> live_files(const std::string& link_directory);

  rocksdb::DB& db() { return *db_; }
  const std::string& path() const { return path_; }
  /// First failure of what RocksDB does in the background; sticky.
  Status background_status() const;
  Error error(const rocksdb::Status& status, const std::string& doing) const;

 private:
  class Listener;
  RocksStore(Options options, std::string path);
  rocksdb::ColumnFamilyOptions family_options(const std::shared_ptr<RocksFilter>& filter) const;
  rocksdb::DBOptions instance_options() const;
  Family* adopt(Family family);
  Status limit_outdated(Family& family);
  bool does_merge() const;
  bool is_far_behind(const Family& family) const;

  const Options options_;
  const std::string path_;
  std::shared_ptr<Listener> listener_;
  rocksdb::Options sorted_file_options_;
  std::unique_ptr<rocksdb::DB> db_;
  std::map<std::string, std::unique_ptr<Family>> families_;
  rocksdb::ColumnFamilyHandle* default_family_ = nullptr;
  std::atomic<std::uint64_t> next_sorted_{1};
  std::atomic<bool> is_far_behind_{false};
};

}  // namespace weir::state
