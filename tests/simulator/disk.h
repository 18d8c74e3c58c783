#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/file_system.h"
#include "simulator/chance.h"

namespace weir::simulator {

/// The disk that outlives processes: names, bytes, and which of both a power cut would take.
class Disk {
 public:
  struct Node {
    bool is_directory = false;
    bool is_name_durable = false;
    std::string content;
    std::size_t synced_bytes = 0;
    TimestampMs modified_ms = 0;
  };
  using Nodes = std::map<std::string, Node, std::less<>>;

  /// What the oracles want to know, at the moment of the effect.
  std::function<void(const std::string& path)> on_published;
  std::function<void(const std::string& path)> on_removed;

  const Nodes& nodes() const { return nodes_; }
  const Node* find(const std::string& path) const;
  bool has_directory(const std::string& path) const;

  void add(const std::string& path, Node node);
  void append(const std::string& path, std::string_view bytes, TimestampMs now_ms);
  void sync(const std::string& path);
  void remove(const std::string& path);
  /// The directory's names become durable, and so do removals from it.
  void sync_directory(const std::string& directory);
  bool is_empty(const std::string& directory) const;

  /// Of what was not synced, any part may be gone, and any removal may be undone.
  void cut_power(Chance& chance);
  /// Flips a bit; false when the file is gone or empty. For tests of damage.
  bool damage(const std::string& path, std::size_t bit);
  void set_content(const std::string& path, std::string content);

 private:
  Nodes nodes_;
  std::vector<std::pair<std::string, Node>> removed_;  ///< but not durably
};

/// What may become of one file operation.
enum class Fate { kFine, kFailsBefore, kFailsAfter, kDiesBefore, kDiesAfter };

enum class DiskOperation { kRead, kWrite, kPublish, kChange, kList };

/// Thrown out of a file operation: the process is no more.
struct ProcessDied {};

/// One process's view of the disk. `choose_fate` is asked before each operation; it may run other
/// processes meanwhile, which is how a process stalls between two file operations.
class ProcessFiles final : public FileSystem {
 public:
  struct Hooks {
    std::function<Fate(DiskOperation)> choose_fate;
    std::function<bool()> is_full;
    std::function<TimestampMs()> wall_ms;
    std::function<bool(const std::string& path)> take_lock;
    std::function<void()> give_lock;
  };

  ProcessFiles(Disk& disk, Hooks hooks) : disk_(disk), hooks_(std::move(hooks)) {}

  Result<std::string> read(const std::string& path) override;
  Result<std::string> read_range(const std::string& path, std::uint64_t offset,
                                 std::size_t size) override;
  Result<std::unique_ptr<ReadableFile>> open(const std::string& path) override;
  Result<std::unique_ptr<WritableFile>> create_writer(const std::string& path) override;
  Status publish(const std::string& path, std::string_view bytes) override;
  Status rename_no_replace(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Status remove_directory(const std::string& path) override;
  Result<std::vector<DirectoryEntry>> list(const std::string& directory) override;
  Result<bool> exists(const std::string& path) override;
  Result<std::uint64_t> size_bytes(const std::string& path) override;
  Status create_directory(const std::string& path) override;
  Status create_directories(const std::string& path) override;
  Status sync_directory(const std::string& path) override;
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override;

 private:
  friend class SimulatedFile;
  friend class SimulatedReadableFile;

  /// Runs `effect` as fate has it.
  Status perform(DiskOperation operation, const std::string& path,
                 const std::function<Status()>& effect);

  Disk& disk_;
  Hooks hooks_;
};

/// The part before the last slash.
std::string parent_of(std::string_view path);

}  // namespace weir::simulator
