#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "io/local_file_system.h"
#include "state/heap_backend.h"
#include "state/snapshot_file.h"
#include "weir/key_hash.h"
#include "weir/type_ops.h"

namespace weir::state::test {

/// A directory of its own, gone at the end of the test.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    // In memory where possible: these tests are about contents, and disks are slow.
    const std::filesystem::path memory = "/dev/shm";
    const bool has_memory = std::filesystem::is_directory(memory);
    std::string name =
        (has_memory ? memory : std::filesystem::temp_directory_path()) / "weir-state-XXXXXX";
    path_ = ::mkdtemp(name.data());
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

/// Jobs for an I/O thread, run when the test says so.
class ManualExecutor {
 public:
  auto runner() {
    return [this](std::function<void()> job) { jobs_.push_back(std::move(job)); };
  }
  bool is_idle() const { return jobs_.empty(); }
  void run_all() {
    while (!jobs_.empty()) {
      std::vector<std::function<void()>> jobs = std::exchange(jobs_, {});
      for (auto& job : jobs) {
        job();
      }
    }
  }

 private:
  std::vector<std::function<void()>> jobs_;
};

/// A snapshot on its way into a file.
struct PendingSnapshot {
  std::string path;
  std::shared_ptr<SnapshotFile> sink;
  ManualExecutor executor;
  std::optional<Result<SnapshotFileInfo>> result;

  PendingSnapshot(FileSystem& files, std::string file_path,
                  std::size_t in_flight_bytes_max = std::size_t{8} << 20,
                  bool is_compressed = false)
      : path(std::move(file_path)) {
    sink = SnapshotFile::create(
        files, path,
        {.run = executor.runner(),
         .on_done =
             [this](Result<SnapshotFileInfo> outcome) { result.emplace(std::move(outcome)); },
         .in_flight_bytes_max = in_flight_bytes_max,
         .is_compressed = is_compressed});
  }
  RestoreFile restore_file() const { return {path, result->value().file}; }
};

/// Takes a whole snapshot at once.
inline RestoreFile take_snapshot(HeapBackend& backend, FileSystem& files, const std::string& path,
                                 CheckpointId checkpoint = 0, CheckpointId since = 0,
                                 KeyGroupRange whole = {}, bool is_compressed = false) {
  PendingSnapshot pending(files, path, std::size_t{8} << 20, is_compressed);
  backend.start_snapshot(pending.sink, checkpoint, since, whole);
  while (backend.copy_slice() != HeapBackend::CopyProgress::kDone) {
    pending.executor.run_all();
  }
  pending.executor.run_all();
  EXPECT_TRUE(pending.result.has_value());
  EXPECT_TRUE(pending.result->ok());
  return pending.restore_file();
}

template <class K, class V>
StateTableDescriptor describe(const std::string& name) {
  return {name, &type_ops<K>(), &type_ops<V>(), nullptr};
}

template <class K, class V>
void put(StateTable& table, StateNamespace ns, const K& key, const V& value) {
  *static_cast<V*>(table.find_or_create(ns, &key, key_hash(key))) = value;
}

inline std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream bytes;
  bytes << in.rdbuf();
  return bytes.str();
}

/// Writes `bytes` and describes them as a manifest that trusts them would.
inline RestoreFile write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  auto summary = summarize_file(local_file_system(), path);
  EXPECT_TRUE(summary.ok());
  return {path, summary.value()};
}

template <class T>
T value_or_fail(Result<T> result) {
  EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().message);
  return std::move(result).value();
}

}  // namespace weir::state::test
