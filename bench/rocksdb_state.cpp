// The RocksDB backend alone, without a pipeline around it. Prints one line of JSON.
//   bench_rocksdb_state update keys updates zipf|uniform memory_mb    read-modify-write in batches
//   bench_rocksdb_state process keys updates zipf|uniform memory_mb   the same as a process
//   function
//                                                       does it: prefetch, then key by key
//   bench_rocksdb_state upload keys changed checkpoints pause_ms memory_mb
//                                                       bytes that checkpoints store, a while apart
//   bench_rocksdb_state restore keys memory_mb                        reopening, and 2 -> 3 -> 2

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <unistd.h>

#include "io/local_file_system.h"
#include "keyed_workload.h"
#include "state/rocksdb/rocksdb_backend.h"
#include "weir/key_hash.h"
#include "weir/type_ops.h"

namespace {

using namespace weir;
using namespace weir::state;
using bench::Total;
using Files = std::vector<RocksDbFile>;

constexpr int kMaxParallelism = 128;
constexpr std::size_t kBatch = 1024;
constexpr double kRowBytes = 24;  // key and value

std::string root() {
  return std::filesystem::temp_directory_path() / ("bench-weir-" + std::to_string(::getpid()));
}

template <class T>
T must(Result<T> result) {
  if (!result.ok()) {
    std::fprintf(stderr, "%s\n", result.error().message.c_str());
    std::exit(1);
  }
  return std::move(result).value();
}
void must(const Status& status) {
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", status.error().message.c_str());
    std::exit(1);
  }
}

/// One I/O thread, as the engine has a few.
class Io {
 public:
  Io() : thread_([this] { loop(); }) {}
  ~Io() {
    {
      const std::lock_guard lock(mutex_);
      is_stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  void run(std::function<void()> job) {
    {
      const std::lock_guard lock(mutex_);
      jobs_.push_back(std::move(job));
    }
    changed_.notify_all();
  }

 private:
  void loop() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return is_stopping_ || !jobs_.empty(); });
      if (jobs_.empty()) {
        return;
      }
      std::function<void()> job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      job();
      job = nullptr;
      lock.lock();
    }
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> jobs_;
  bool is_stopping_ = false;
  std::thread thread_;
};

class Subject {
 public:
  Subject(Io& io, std::size_t memory_mb, KeyGroupRange key_groups, const Files* from = nullptr,
          const Files* more = nullptr)
      : key_groups_(key_groups) {
    RocksDbSettings settings;
    settings.local_directory = root() + "/local";
    settings.memory_bytes = memory_mb << 20;
    backend_ = std::make_unique<RocksDbBackend>(
        RocksDbBackend::Options{"bench", kMaxParallelism, key_groups, settings,
                                [&io](std::function<void()> job) { io.run(std::move(job)); }});
    must(backend_->open());
    std::vector<RocksDbBackend::RestoreFrom> files;
    for (const Files* part : {from, more}) {
      for (std::size_t i = 0; part != nullptr && i < part->size(); ++i) {
        files.push_back({(*part)[i].name, (*part)[i]});
      }
    }
    if (!files.empty()) {
      must(backend_->restore(local_file_system(), files));
    }
    table_ = must(backend_->open_table(
        {"sums", &type_ops<std::uint64_t>(), &type_ops<Total>(), nullptr, {}}));
    must(backend_->finish_restore());
  }

  void add(std::uint64_t key) {
    const std::uint32_t hash = key_hash(key);
    if (!key_groups_.contains(key_group_of(hash, kMaxParallelism))) {
      return;
    }
    keys_[count_] = key;
    hashes_[count_] = hash;
    if (++count_ == kBatch) {
      flush();
    }
  }
  void flush() {
    const KeyColumn column{reinterpret_cast<const std::byte*>(keys_), sizeof(std::uint64_t),
                           hashes_, count_};
    if (is_key_by_key_) {
      table_->prefetch(kNoNamespace, column);
    } else {
      table_->upsert(kNoNamespace, column, values_);
    }
    for (std::size_t i = 0; i < count_; ++i) {
      auto* sum = static_cast<Total*>(
          is_key_by_key_ ? table_->find_or_create(kNoNamespace, &keys_[i], hashes_[i])
                         : values_[i]);
      sum->add(bench::amount_of(keys_[i]));
      fold_ += sum->fold();
    }
    count_ = 0;
  }
  void work_key_by_key() { is_key_by_key_ = true; }
  /// Sums of these are equal when every key's were.
  std::uint64_t fold() const { return fold_; }
  /// Takes a checkpoint and waits for it. `barrier_s`: how long the operator stood still.
  Files checkpoint(const Files& reusable, double* barrier_s = nullptr) {
    std::atomic<bool> is_done = false;
    std::optional<Result<Files>> result;
    RocksDbBackend::SnapshotOptions options;
    options.checkpoint = ++checkpoint_;
    options.files = &local_file_system();
    options.reusable = reusable;
    options.new_file = [](std::string_view hint) {
      static std::atomic<int> next = 0;
      must(local_file_system().create_directories(root() + "/store"));
      std::string path = root() + "/store/" + std::to_string(next++) + "-" + std::string(hint);
      return RocksDbBackend::NewFile{path, path};
    };
    options.on_done = [&](Result<Files> files) {
      result.emplace(std::move(files));
      is_done = true;
      is_done.notify_all();
    };
    const bench::Stopwatch barrier;
    backend_->start_snapshot(std::move(options));
    if (barrier_s != nullptr) {
      *barrier_s = barrier.wall_s();
    }
    while (backend_->copy_slice() != RocksDbBackend::CopyProgress::kDone) {
    }
    is_done.wait(false);
    return must(std::move(*result));
  }
  std::uint64_t entry_count() const { return backend_->entry_count(); }

 private:
  const KeyGroupRange key_groups_;
  std::unique_ptr<RocksDbBackend> backend_;
  StateTable* table_ = nullptr;
  CheckpointId checkpoint_ = 0;
  bool is_key_by_key_ = false;
  std::size_t count_ = 0;
  std::uint64_t fold_ = 0;
  std::uint64_t keys_[kBatch];
  std::uint32_t hashes_[kBatch];
  void* values_[kBatch];
};

constexpr KeyGroupRange kAll{0, kMaxParallelism - 1};

std::uint64_t number(const char* text) { return std::strtoull(text, nullptr, 10); }

int update(char** arguments, bool is_key_by_key) {
  const std::uint64_t keys = number(arguments[0]);
  const std::uint64_t updates = number(arguments[1]);
  Io io;
  Subject subject(io, number(arguments[3]), kAll);
  for (std::uint64_t i = 0; i < keys; ++i) {
    subject.add(bench::key_of(i));
  }
  subject.flush();
  if (is_key_by_key) {
    subject.work_key_by_key();
  }
  bench::KeyStream stream(keys, std::strcmp(arguments[2], "zipf") == 0);
  const bench::Stopwatch watch;
  for (std::uint64_t i = 0; i < updates; ++i) {
    subject.add(stream.next());
  }
  subject.flush();
  bench::print_updates(watch, updates, subject.fold());
  return 0;
}

/// Of the files that are not among those of an earlier checkpoint.
double bytes_of_new(const Files& files, const Files& earlier) {
  std::set<std::string> old;
  for (const RocksDbFile& file : earlier) {
    old.insert(file.name);
  }
  double bytes = 0;
  for (const RocksDbFile& file : files) {
    bytes += old.contains(file.name) ? 0 : static_cast<double>(file.file.length_bytes);
  }
  return bytes;
}

int upload(char** arguments) {
  const std::uint64_t keys = number(arguments[0]);
  const std::uint64_t changed = number(arguments[1]);
  const std::uint64_t checkpoints = number(arguments[2]);
  const std::chrono::milliseconds apart(number(arguments[3]));
  Io io;
  Subject subject(io, number(arguments[4]), kAll);
  for (std::uint64_t i = 0; i < keys; ++i) {
    subject.add(bench::key_of(i));
  }
  subject.flush();
  Files last = subject.checkpoint({});
  // What the first rows came in is still being compacted: wait until nothing new comes of it.
  for (int quiet = 0; quiet < 5;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    Files now = subject.checkpoint(last);
    quiet = now.back().name == last.back().name && now.size() == last.size() ? quiet + 1 : 0;
    last = std::move(now);
  }
  bench::KeyStream stream(keys, false);
  double stored = 0;
  double rows = 0;
  double space = 0;
  std::vector<double> barriers;
  std::vector<double> durations;
  constexpr std::uint64_t kUncounted = 20;  // until what was loaded is in one run of files
  for (std::uint64_t n = 0; n < kUncounted + checkpoints; ++n) {
    std::this_thread::sleep_for(apart);
    std::set<std::uint64_t> distinct;
    for (std::uint64_t i = 0; i < changed; ++i) {
      const std::uint64_t key = stream.next();
      distinct.insert(key);
      subject.add(key);
    }
    subject.flush();
    const bench::Stopwatch duration;
    double barrier_s = 0;
    Files now = subject.checkpoint(last, &barrier_s);
    if (n >= kUncounted) {
      rows += static_cast<double>(distinct.size());
      barriers.push_back(barrier_s);
      durations.push_back(duration.wall_s());
      stored += bytes_of_new(now, last);
      space = std::max(space, bytes_of_new(now, {}));
    }
    for (const RocksDbFile& file : last) {
      const bool stays = std::any_of(now.begin(), now.end(), [&](const RocksDbFile& other) {
        return other.name == file.name;
      });
      if (!stays) {
        std::filesystem::remove(file.name);
      }
    }
    last = std::move(now);
  }
  std::sort(barriers.begin(), barriers.end());
  std::sort(durations.begin(), durations.end());
  std::printf(
      "{\"checkpoints\": %llu, \"ratio\": %.2f, \"space\": %.2f, \"barrier_ms_max\": %.3f, "
      "\"barrier_ms_p50\": %.3f, \"duration_ms_p50\": %.1f, \"duration_ms_max\": %.1f}\n",
      static_cast<unsigned long long>(checkpoints), stored / (rows * kRowBytes),
      space / (static_cast<double>(keys) * kRowBytes), 1e3 * barriers.back(),
      1e3 * barriers[barriers.size() / 2], 1e3 * durations[durations.size() / 2],
      1e3 * durations.back());
  return 0;
}

int restore(char** arguments) {
  const std::uint64_t keys = number(arguments[0]);
  const std::size_t memory = number(arguments[1]);
  Io io;
  const auto range = [](int subtask, int parallelism) {
    return key_groups_of_subtask(subtask, kMaxParallelism, parallelism);
  };
  std::vector<Files> two;
  double bytes = 0;
  for (int subtask = 0; subtask < 2; ++subtask) {
    Subject subject(io, memory, range(subtask, 2));
    for (std::uint64_t i = 0; i < keys; ++i) {
      subject.add(bench::key_of(i));
    }
    subject.flush();
    two.push_back(subject.checkpoint({}));
    for (const RocksDbFile& file : two.back()) {
      bytes += static_cast<double>(file.file.length_bytes);
    }
  }
  const bench::Stopwatch same;
  for (int subtask = 0; subtask < 2; ++subtask) {
    const Subject subject(io, memory, range(subtask, 2), &two[static_cast<std::size_t>(subtask)]);
  }
  const double reopen_s = same.wall_s() / 2;
  const bench::Stopwatch verify;
  for (const Files& files : two) {
    for (const RocksDbFile& file : files) {
      must(summarize_file(local_file_system(), file.name));
    }
  }
  const double verify_s = verify.wall_s() / 2;
  // Of three subtasks the middle one takes from both.
  std::vector<Files> three;
  const bench::Stopwatch up;
  std::vector<std::unique_ptr<Subject>> subjects;
  for (int subtask = 0; subtask < 3; ++subtask) {
    const Files* const first = subtask < 2 ? &two[0] : nullptr;
    const Files* const second = subtask > 0 ? &two[1] : nullptr;
    subjects.push_back(std::make_unique<Subject>(io, memory, range(subtask, 3), first, second));
  }
  const double up_s = up.wall_s();
  std::uint64_t entries = 0;
  for (const auto& subject : subjects) {
    entries += subject->entry_count();
    three.push_back(subject->checkpoint({}));
  }
  subjects.clear();
  const bench::Stopwatch down;
  for (int subtask = 0; subtask < 2; ++subtask) {
    const Subject subject(io, memory, range(subtask, 2), &three[static_cast<std::size_t>(subtask)],
                          &three[static_cast<std::size_t>(subtask) + 1]);
  }
  const double down_s = down.wall_s();
  std::printf(
      "{\"state_mb\": %.0f, \"entries\": %llu, \"reopen_ms\": %.1f, \"of_that_verify_ms\": %.1f, "
      "\"rescale_2_3_s_per_gb\": %.2f, \"rescale_3_2_s_per_gb\": %.2f}\n",
      bytes / 1e6, static_cast<unsigned long long>(entries), 1e3 * reopen_s, 1e3 * verify_s,
      up_s / (bytes / 1e9), down_s / (bytes / 1e9));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  int status = 2;
  if ((mode == "update" || mode == "process") && argc == 6) {
    status = update(argv + 2, mode == "process");
  } else if (mode == "upload" && argc == 7) {
    status = upload(argv + 2);
  } else if (mode == "restore" && argc == 4) {
    status = restore(argv + 2);
  } else {
    std::fprintf(stderr, "usage: see the head of bench/rocksdb_state.cpp\n");
  }
  std::filesystem::remove_all(root());
  return status;
}
