#pragma once

#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "io/local_file_system.h"
#include "state/heap_backend.h"
#include "state/rocksdb/rocksdb_backend.h"
#include "state/snapshot_file.h"
#include "state/test_clock.h"
#include "state/test_support.h"
#include "weir/operator.h"

/// Keyed state for tests of operators, in either backend.
namespace weir::operators::test {

enum class BackendKind { kHeap, kRocksDb };

/// WEIR_STATE_BACKEND=rocksdb: every test is one of that backend, too.
inline BackendKind default_backend() {
  const char* const backend = std::getenv("WEIR_STATE_BACKEND");
  return backend != nullptr && std::string_view(backend) == "rocksdb" ? BackendKind::kRocksDb
                                                                      : BackendKind::kHeap;
}

/// What one subtask's keyed state stored: a state file, or several of RocksDB's.
using StoredFiles = std::vector<state::RocksDbFile>;

class KeyedStateHost {
 public:
  virtual ~KeyedStateHost() = default;
  virtual KeyedStateBackend& backend() = 0;
  virtual std::uint64_t entry_count() const = 0;
  virtual Status restore(const std::vector<StoredFiles>& of_subtasks) = 0;
  virtual Status finish_restore() = 0;
  /// `next_file` makes the path of a new file.
  virtual Result<StoredFiles> snapshot(const std::function<std::string()>& next_file) = 0;
  /// A batch was processed.
  virtual void after_batch() {}
};

class HeapHost final : public KeyedStateHost {
 public:
  explicit HeapHost(const SubtaskInfo& info)
      : backend_({"operator", info.max_parallelism, info.key_groups}) {}

  KeyedStateBackend& backend() override { return backend_; }
  std::uint64_t entry_count() const override { return backend_.entry_count(); }
  Status restore(const std::vector<StoredFiles>& of_subtasks) override {
    std::vector<state::RestoreFile> files;
    for (const StoredFiles& stored : of_subtasks) {
      files.push_back({stored.front().name, stored.front().file});
    }
    return backend_.restore(local_file_system(), std::move(files));
  }
  Status finish_restore() override { return backend_.finish_restore().status(); }
  Result<StoredFiles> snapshot(const std::function<std::string()>& next_file) override {
    const std::string path = next_file();
    state::test::ManualExecutor executor;
    std::optional<Result<state::SnapshotFileInfo>> info;
    state::SnapshotFile::Options options;
    options.run = executor.runner();
    options.on_done = [&](Result<state::SnapshotFileInfo> outcome) {
      info.emplace(std::move(outcome));
    };
    backend_.start_snapshot(state::SnapshotFile::create(local_file_system(), path, options));
    while (!info.has_value()) {
      (void)backend_.copy_slice();
      executor.run_all();
    }
    WEIR_TRY(info->status());
    return StoredFiles{{path, info->value().file, {}}};
  }

 private:
  state::HeapBackend backend_;
};

/// With little memory, and writes to RocksDB every few batches, so that much is read from there.
class RocksDbHost final : public KeyedStateHost {
 public:
  RocksDbHost(const SubtaskInfo& info, Clock& clock) {
    state::RocksDbSettings settings;
    settings.local_directory = directory_.file("local");
    settings.memory_bytes = std::size_t{2} << 20;
    backend_ = std::make_unique<state::RocksDbBackend>(state::RocksDbBackend::Options{
        "operator", info.max_parallelism, info.key_groups, settings, executor_.runner(), &clock});
    const Status opened = backend_->open();
    EXPECT_TRUE(opened.ok()) << opened.error().message;
  }

  KeyedStateBackend& backend() override { return *backend_; }
  std::uint64_t entry_count() const override { return backend_->entry_count(); }
  Status restore(const std::vector<StoredFiles>& of_subtasks) override {
    std::vector<state::RocksDbBackend::RestoreFrom> from;
    for (const StoredFiles& stored : of_subtasks) {
      for (const state::RocksDbFile& file : stored) {
        from.push_back({file.name, file});
      }
    }
    return backend_->restore(local_file_system(), from);
  }
  Status finish_restore() override { return backend_->finish_restore().status(); }
  Result<StoredFiles> snapshot(const std::function<std::string()>& next_file) override {
    std::optional<Result<StoredFiles>> files;
    state::RocksDbBackend::SnapshotOptions options;
    options.checkpoint = ++checkpoint_;
    options.files = &local_file_system();
    options.new_file = [&](std::string_view /*hint*/) {
      std::string path = next_file();
      return state::RocksDbBackend::NewFile{path, path};
    };
    options.on_done = [&](Result<StoredFiles> outcome) { files.emplace(std::move(outcome)); };
    backend_->start_snapshot(std::move(options));
    while (!files.has_value()) {
      (void)backend_->copy_slice();
      executor_.run_all();
    }
    return std::move(*files);
  }
  void after_batch() override {
    constexpr int kBatches = 8;
    if (++batches_ % kBatches == 0) {
      backend_->write_all_down();
    }
    executor_.run_all();
  }

 private:
  state::test::TemporaryDirectory directory_;
  state::test::ManualExecutor executor_;
  std::unique_ptr<state::RocksDbBackend> backend_;
  CheckpointId checkpoint_ = 0;
  int batches_ = 0;
};

inline std::unique_ptr<KeyedStateHost> make_keyed_state_host(BackendKind kind,
                                                             const SubtaskInfo& info,
                                                             Clock& clock) {
  if (kind == BackendKind::kRocksDb) {
    return std::make_unique<RocksDbHost>(info, clock);
  }
  return std::make_unique<HeapHost>(info);
}

}  // namespace weir::operators::test
