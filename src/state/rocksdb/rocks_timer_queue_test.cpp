// Random timers, snapshots and restores with both timer services and the heap backend, against a
// sorted set.

#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "state/heap_backend.h"
#include "state/rocksdb/rocksdb_backend.h"
#include "state/test_support.h"
#include "weir/time.h"

namespace weir::state::test {
namespace {

using Files = std::vector<RocksDbFile>;

class RocksTimers {
 public:
  using Timer = std::tuple<std::int64_t, StateNamespace, std::string>;

  explicit RocksTimers(std::uint64_t seed) : random_(seed) {}

  void run(int steps) {
    open(pick(2) == 0, nullptr, false);
    for (int step = 0; step < steps && !::testing::Test::HasFailure(); ++step) {
      const std::uint64_t what = pick(100);
      if (what < 55) {
        add();
      } else if (what < 70) {
        remove();
      } else if (what < 95) {
        fire();
      } else if (what < 98) {
        backend_->write_all_down();
      } else {
        restore();
      }
    }
    fire_until(kMaxTimestamp - 1);
    EXPECT_EQ(queue_->next_timestamp(), kMaxTimestamp);
  }

 private:
  std::uint64_t pick(std::uint64_t n) { return random_() % n; }
  static std::string key_of(std::uint64_t n) { return "key " + std::to_string(n); }

  void open(bool is_in_store, const Files* files, bool is_state_file) {
    queue_ = nullptr;
    backend_.reset();
    RocksDbSettings settings;
    settings.local_directory = directory_.file("local");
    settings.memory_bytes = std::size_t{1} << 20;
    settings.are_timers_in_store = is_in_store;
    backend_ = std::make_unique<RocksDbBackend>(
        RocksDbBackend::Options{"timers", 128, {0, 127}, settings, executor_.runner()});
    ASSERT_TRUE(backend_->open().ok());
    if (files != nullptr && is_state_file) {
      ASSERT_TRUE(backend_
                      ->restore_state_files(local_file_system(),
                                            {{files->front().name, files->front().file}})
                      .ok());
    } else if (files != nullptr) {
      std::vector<RocksDbBackend::RestoreFrom> from;
      for (const RocksDbFile& file : *files) {
        from.push_back({file.name, file});
      }
      ASSERT_TRUE(backend_->restore(local_file_system(), from).ok());
    }
    queue_ = value_or_fail(backend_->open_timers("timers", type_ops<std::string>()));
    ASSERT_TRUE(value_or_fail(backend_->finish_restore()).empty());
    ASSERT_EQ(queue_->size(), model_.size());
  }

  void add() {
    for (std::uint64_t i = pick(100); i > 0; --i) {
      const Timer timer{now_ + static_cast<std::int64_t>(pick(20'000)) - 100,
                        static_cast<StateNamespace>(pick(3)) - 1, key_of(pick(200))};
      model_.insert(timer);
      const auto& [timestamp, ns, key] = timer;
      queue_->add(timestamp, ns, &key, key_hash(key));
      if (pick(10) == 0) {
        queue_->add(timestamp, ns, &key, key_hash(key));
      }
    }
    ASSERT_EQ(queue_->size(), model_.size());
  }
  void remove() {
    for (std::uint64_t i = pick(20); i > 0 && !model_.empty(); --i) {
      const Timer timer =
          *std::next(model_.begin(),
                     static_cast<std::ptrdiff_t>(pick(std::min<std::size_t>(model_.size(), 50))));
      model_.erase(timer);
      const auto& [timestamp, ns, key] = timer;
      queue_->remove(timestamp, ns, &key, key_hash(key));
      queue_->remove(timestamp, ns, &key, key_hash(key));
    }
    ASSERT_EQ(queue_->size(), model_.size());
  }
  void fire() { fire_until(now_ + static_cast<std::int64_t>(pick(3000))); }
  void fire_until(std::int64_t until) {
    now_ = until;
    TimerQueue::Timer timer;
    std::int64_t last = kMinTimestamp;
    ASSERT_EQ(queue_->next_timestamp(),
              model_.empty() ? kMaxTimestamp : std::get<0>(*model_.begin()));
    while (queue_->pop(now_, timer)) {
      ASSERT_GE(timer.timestamp, last);
      last = timer.timestamp;
      const auto& key = *static_cast<const std::string*>(timer.key);
      ASSERT_EQ(timer.hash, key_hash(key));
      ASSERT_EQ(model_.erase({timer.timestamp, timer.ns, key}), 1U);
    }
    ASSERT_TRUE(model_.empty() || std::get<0>(*model_.begin()) > now_);
  }

  void restore() {
    const bool is_state_file = pick(2) == 0;
    std::optional<Result<Files>> result;
    RocksDbBackend::SnapshotOptions options;
    options.checkpoint = 1;
    options.files = &local_file_system();
    options.is_state_file = is_state_file;
    options.new_file = [this](std::string_view hint) {
      std::string path = directory_.file("f" + std::to_string(next_++) + "-" + std::string(hint));
      return RocksDbBackend::NewFile{path, path};
    };
    options.on_done = [&](Result<Files> files) { result.emplace(std::move(files)); };
    backend_->start_snapshot(std::move(options));
    while (backend_->copy_slice() != RocksDbBackend::CopyProgress::kDone) {
    }
    executor_.run_all();
    ASSERT_TRUE(result.has_value());
    ASSERT_TRUE(result->ok()) << result->error().message;
    if (is_state_file) {
      HeapBackend heap(HeapBackend::Options{"timers", 128, {0, 127}});
      ASSERT_TRUE(heap.restore(local_file_system(),
                               {{result->value().front().name, result->value().front().file}})
                      .ok());
      ASSERT_EQ(value_or_fail(heap.open_timers("timers", type_ops<std::string>()))->size(),
                model_.size());
    }
    open(pick(2) == 0, &result->value(), is_state_file);
  }

  std::mt19937_64 random_;
  TemporaryDirectory directory_;
  ManualExecutor executor_;
  std::unique_ptr<RocksDbBackend> backend_;
  TimerQueue* queue_ = nullptr;
  std::set<Timer> model_;
  std::int64_t now_ = 0;
  int next_ = 0;
};

TEST(RocksTimerQueue, FiresWhatWasAddedAndNotRemovedAcrossRestores) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    RocksTimers(seed).run(700);
  }
}

TEST(RocksTimerQueue, TheMemoryOfTimersThatAreSpreadFarIsCounted) {
  TemporaryDirectory directory;
  ManualExecutor executor;
  RocksDbSettings settings;
  settings.local_directory = directory.file("local");
  RocksDbBackend backend({"test", 128, {0, 127}, settings, executor.runner()});
  ASSERT_TRUE(backend.open().ok());
  TimerQueue& queue = *value_or_fail(backend.open_timers("timers", type_ops<std::string>()));
  const std::string key = "key";
  const auto add = [&](std::int64_t seconds) {
    queue.add(seconds * 1024, kNoNamespace, &key, key_hash(key));
  };
  add(0);
  const std::size_t before = backend.memory_bytes();
  constexpr std::int64_t kSeconds = 10'000;
  for (std::int64_t i = 1; i <= kSeconds; ++i) {
    add(i);
  }
  const std::size_t spread = backend.memory_bytes() - before;
  EXPECT_GE(spread, kSeconds * 300U) << "timers and seconds";
}

}  // namespace
}  // namespace weir::state::test
