// Random operations, snapshots of both kinds with work on I/O threads at any later time, and
// restores into other parallelisms and into the other backend, against std::map. The cache is far
// smaller than the state.

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "state/heap_backend.h"
#include "state/model_operations.h"
#include "state/rocksdb/rocksdb_backend.h"

namespace weir::state::test {
namespace {

template <class K, class V>
class RocksModel : public ModelOperations<RocksDbBackend, K, V> {
  using Base = ModelOperations<RocksDbBackend, K, V>;
  using Base::compare;
  using Base::compare_restored;
  using Base::keys_;
  using Base::max_parallelism_;
  using Base::model_;
  using Base::pick;
  using Base::pick_namespace;
  using Base::subtasks_;
  using typename Base::Subtask;

 public:
  using Base::Base;
  using Base::evolutions;
  using typename Base::Map;
  explicit RocksModel(std::uint64_t seed) : Base(seed) {}

  void run(int steps, std::uint64_t keys, int max_parallelism) {
    max_parallelism_ = max_parallelism;
    keys_ = keys;
    open(1, nullptr);
    if (Base::run_steps(steps, [this] { one_step(); })) {
      finish_snapshot();
      compare(subtasks_, model_);
    }
  }
  int reused() const { return reused_; }
  int rescales() const { return rescales_; }

 private:
  /// One subtask's part of a snapshot.
  struct Pending {
    std::optional<Result<std::vector<RocksDbFile>>> result;
  };
  /// A complete snapshot.
  struct Stored {
    bool is_state_file = false;
    std::vector<std::vector<RocksDbFile>> files;  ///< by subtask
    std::vector<RocksDbBackend::RestoreFrom> all() const {
      std::vector<RocksDbBackend::RestoreFrom> from;
      for (const auto& of_subtask : files) {
        for (const RocksDbFile& file : of_subtask) {
          from.push_back({file.name, file});
        }
      }
      return from;
    }
    std::vector<RestoreFile> state_files() const {
      std::vector<RestoreFile> from;
      for (const auto& of_subtask : files) {
        from.push_back({of_subtask.front().name, of_subtask.front().file});
      }
      return from;
    }
  };

  template <class Value = V>
  std::vector<Subtask> make(int parallelism, const Stored* stored) {
    std::vector<Subtask> result;
    for (int i = 0; i < parallelism; ++i) {
      Subtask subtask;
      RocksDbSettings settings;
      settings.local_directory = directory_.file("local");
      settings.memory_bytes = std::size_t{1} << 20;
      settings.write_buffer_bytes = std::size_t{300} << 10;
      settings.block_bytes = 1024;
      subtask.backend = std::make_unique<RocksDbBackend>(RocksDbBackend::Options{
          "model", max_parallelism_, key_groups_of_subtask(i, max_parallelism_, parallelism),
          settings, executor_.runner()});
      expect_ok(subtask.backend->open());
      if (stored != nullptr) {
        expect_ok(
            stored->is_state_file
                ? subtask.backend->restore_state_files(local_file_system(), stored->state_files())
                : subtask.backend->restore(local_file_system(), wanted(*stored, i, parallelism)));
      }
      Base::template open_states<Value>(subtask);
      result.push_back(std::move(subtask));
    }
    return result;
  }
  /// As checkpoint::keyed_files_for does: files of old subtasks that own none of the new one's key
  /// groups are left out.
  std::vector<RocksDbBackend::RestoreFrom> wanted(const Stored& stored, int subtask,
                                                  int parallelism) const {
    const KeyGroupRange own = key_groups_of_subtask(subtask, max_parallelism_, parallelism);
    const auto old_parallelism = static_cast<int>(stored.files.size());
    Stored part{stored.is_state_file, {}};
    for (int i = 0; i < old_parallelism; ++i) {
      const KeyGroupRange old = key_groups_of_subtask(i, max_parallelism_, old_parallelism);
      if (old.first <= own.last && own.first <= old.last) {
        part.files.push_back(stored.files[static_cast<std::size_t>(i)]);
      }
    }
    return part.all();
  }
  static void expect_ok(const Status& status) {
    ASSERT_TRUE(status.ok()) << (status.ok() ? "" : status.error().message);
  }

  void open(int parallelism, const Stored* stored) {
    subtasks_.clear();
    subtasks_ = make(parallelism, stored);
  }

  void one_step() {
    const std::uint64_t what = pick(100);
    if (Base::change_state(what)) {
      return;
    }
    if (what < 78) {
      start_snapshot();
    } else if (what < 90) {
      slices();
    } else if (what < 94) {
      executor_.run_all();
    } else if (what < 96) {
      compare(subtasks_, model_);
    } else if (what < 97) {
      scan(pick_namespace());
    } else if (what < 99) {
      finish_snapshot();
    } else {
      rescale();
    }
  }

  /// In portions, while what was written goes down.
  void scan(StateNamespace ns) {
    std::map<K, V> found;
    for (Subtask& subtask : subtasks_) {
      StateTable::ScanPosition position;
      bool has_more = true;
      while (has_more) {
        has_more =
            subtask.table->scan(ns, position, pick(300) + 1,
                                [&](std::size_t count, const void* const* keys,
                                    const std::uint32_t* /*hashes*/, const void* const* values) {
                                  for (std::size_t i = 0; i < count; ++i) {
                                    ASSERT_TRUE(found
                                                    .emplace(*static_cast<const K*>(keys[i]),
                                                             *static_cast<const V*>(values[i]))
                                                    .second);
                                  }
                                });
        if (pick(4) == 0) {
          subtask.backend->write_all_down();
        }
      }
    }
    const auto space = model_.find(ns);
    ASSERT_TRUE(found == (space == model_.end() ? std::map<K, V>() : space->second));
  }

  void start_snapshot() {
    finish_snapshot();
    barrier_model_ = model_;
    ++checkpoint_;
    is_state_file_ = pick(4) == 0;
    for (std::size_t s = 0; s < subtasks_.size(); ++s) {
      pending_.push_back(std::make_unique<Pending>());
      RocksDbBackend::SnapshotOptions options;
      options.checkpoint = checkpoint_;
      options.files = &local_file_system();
      options.is_state_file = is_state_file_;
      options.new_file = [this](std::string_view hint) {
        std::string path =
            directory_.file("f" + std::to_string(next_file_++) + "-" + std::string(hint));
        return RocksDbBackend::NewFile{path, path};
      };
      if (completed_.has_value() && pick(4) != 0) {
        options.reusable = completed_->files[s];
      }
      options.on_done = [pending = pending_.back().get()](Result<std::vector<RocksDbFile>> files) {
        pending->result.emplace(std::move(files));
      };
      subtasks_[s].backend->start_snapshot(std::move(options));
    }
  }

  void slices() {
    for (Subtask& subtask : subtasks_) {
      for (std::uint64_t i = pick(4); i > 0; --i) {
        subtask.backend->copy_slice(pick(500) + 1);
      }
    }
    if (pick(2) == 0) {
      executor_.run_all();
    }
    // Whatever may be forgotten is, at the worst of times.
    if (pick(3) == 0) {
      for (Subtask& subtask : subtasks_) {
        subtask.backend->evict_all();
      }
    }
  }

  /// Completes the running snapshot and checks that it holds the model of its barrier.
  void finish_snapshot() {
    if (pending_.empty()) {
      return;
    }
    Stored stored{is_state_file_, {}};
    for (std::size_t s = 0; s < pending_.size(); ++s) {
      while (subtasks_[s].backend->copy_slice(1000) != RocksDbBackend::CopyProgress::kDone) {
      }
      executor_.run_all();
      ASSERT_TRUE(pending_[s]->result.has_value());
      ASSERT_TRUE(pending_[s]->result->ok()) << pending_[s]->result->error().message;
      stored.files.push_back(pending_[s]->result->value());
      if (completed_.has_value()) {
        for (const RocksDbFile& file : stored.files.back()) {
          reused_ += std::any_of(completed_->files[s].begin(), completed_->files[s].end(),
                                 [&](const RocksDbFile& old) { return old.name == file.name; })
                         ? 1
                         : 0;
        }
      }
    }
    pending_.clear();
    last_ = stored;
    if (!stored.is_state_file) {
      completed_ = std::move(stored);
    }
    const int parallelism = static_cast<int>(pick(4)) + 1;
    compare_restored(make(parallelism, &*last_), barrier_model_);
    Base::compare_evolved(barrier_model_,
                          [&]<class Value>() { return make<Value>(parallelism, &*last_); });
    if (last_->is_state_file) {
      restore_on_heap(parallelism);
    }
  }

  void restore_on_heap(int parallelism) {
    using Heap = ModelOperations<HeapBackend, K, V>;
    struct Subtasks : Heap {
      using Heap::compare;
      using Heap::open_states;
      using OnHeap [[maybe_unused]] = typename Heap::Subtask;  // gcc does not see the uses
    };
    std::vector<typename Subtasks::OnHeap> restored;
    for (int i = 0; i < parallelism; ++i) {
      typename Subtasks::OnHeap subtask;
      subtask.backend = std::make_unique<HeapBackend>(HeapBackend::Options{
          "model", max_parallelism_, key_groups_of_subtask(i, max_parallelism_, parallelism)});
      expect_ok(subtask.backend->restore(local_file_system(), last_->state_files()));
      Subtasks::open_states(subtask);
      restored.push_back(std::move(subtask));
    }
    Subtasks::compare(restored, barrier_model_);
  }

  /// Goes on from the last snapshot, mostly with another parallelism, as after a crash.
  void rescale() {
    finish_snapshot();
    if (!last_.has_value() || ::testing::Test::HasFailure()) {
      return;
    }
    const auto old = static_cast<int>(subtasks_.size());
    const int parallelism = static_cast<int>(pick(4)) + 1;
    open(parallelism, &*last_);
    model_ = barrier_model_;
    rescales_ += parallelism == old ? 0 : 1;
    if (parallelism != old || last_->is_state_file) {
      completed_.reset();
    } else {
      completed_ = last_;
    }
    last_.reset();
  }

  TemporaryDirectory directory_;
  ManualExecutor executor_;
  CheckpointId checkpoint_ = 0;
  bool is_state_file_ = false;
  Map barrier_model_;
  std::vector<std::unique_ptr<Pending>> pending_;
  std::optional<Stored> completed_;  ///< the last checkpoint
  std::optional<Stored> last_;       ///< the last snapshot, with barrier_model_
  int next_file_ = 0;
  int reused_ = 0;
  int rescales_ = 0;
};

TEST(RocksDbBackendModel, EightByteKeysWithPlainValues) {
  RocksModel<std::uint64_t, Sum> model(13);
  model.run(2 * kSteps, 20'000, 128);
  EXPECT_GT(model.operations(), 10'000U);
  EXPECT_GT(model.reused(), 0);
  EXPECT_GT(model.rescales(), 0);
}
TEST(RocksDbBackendModel, AMillionOperations) {
  int evolutions = 0;
  run_operations([&](std::uint64_t seed) {
    RocksModel<std::uint64_t, Sum> model(seed);
    model.run(kSteps, 20'000, 128);
    evolutions += model.evolutions();
    return model.operations();
  });
  EXPECT_GT(evolutions, 0);
}
TEST(RocksDbBackendModel, FewKeys) {
  RocksModel<std::int32_t, Sum> model(2);
  model.run(kSteps, 300, 128);
}
TEST(RocksDbBackendModel, OddMaxParallelism) {
  RocksModel<std::uint64_t, std::string> model(3);
  model.run(kSteps, 8'000, 37);
}
TEST(RocksDbBackendModel, StringKeysWithLists) {
  RocksModel<std::string, std::vector<std::string>> model(4);
  model.run(kSteps, 10'000, 128);
}
TEST(RocksDbBackendModel, SixteenByteKeys) {
  RocksModel<Point, Sum> model(5);
  model.run(kSteps, 12'000, 16);
}
TEST(RocksDbBackendModel, SixByteKeys) {
  RocksModel<Triple, std::string> model(6);
  model.run(kSteps / 2, 5'000, 8);
}

}  // namespace
}  // namespace weir::state::test
