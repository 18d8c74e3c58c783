// Random operations, snapshots in slices, whole ones and chains of deltas, some of which are never
// confirmed, and restores into other parallelisms, against std::map.

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "state/heap_backend.h"
#include "state/model_operations.h"

namespace weir::state::test {

namespace {

template <class K, class V>
class Model : public ModelOperations<HeapBackend, K, V> {
  using Base = ModelOperations<HeapBackend, K, V>;
  using Base::compare;
  using Base::compare_restored;
  using Base::keys_;
  using Base::max_parallelism_;
  using Base::model_;
  using Base::pick;
  using Base::subtasks_;
  using typename Base::Subtask;

 public:
  using Base::evolutions;
  using typename Base::Map;

  explicit Model(std::uint64_t seed, bool is_incremental = false)
      : Base(seed), is_incremental_(is_incremental) {}

  void run(int steps, std::uint64_t keys, int max_parallelism) {
    max_parallelism_ = max_parallelism;
    keys_ = keys;
    open({}, 1);
    if (Base::run_steps(steps, [this] { one_step(); })) {
      finish_snapshot();
      compare(subtasks_, model_);
    }
  }
  int deltas() const { return deltas_; }
  int left_out() const { return left_out_; }

 private:
  struct Link {
    RestoreFile file;
    KeyGroupRange whole;
  };
  using Chain = std::vector<Link>;
  void open(const std::vector<RestoreFile>& files, int parallelism) {
    subtasks_ = make(files, parallelism, built_on_);
    chains_.resize(subtasks_.size());
  }

  template <class Value = V>
  std::vector<Subtask> make(const std::vector<RestoreFile>& files, int parallelism,
                            CheckpointId built_on = 0) {
    std::vector<Subtask> result;
    for (int i = 0; i < parallelism; ++i) {
      Subtask subtask;
      subtask.backend = std::make_unique<HeapBackend>(HeapBackend::Options{
          "model", max_parallelism_, key_groups_of_subtask(i, max_parallelism_, parallelism),
          kSplitEntries, is_incremental_});
      if (!files.empty()) {
        const Status status = subtask.backend->restore(local_file_system(), files);
        EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().message);
      }
      if (built_on != 0) {
        subtask.backend->build_on_restored(built_on);
      }
      Base::template open_states<Value>(subtask);
      result.push_back(std::move(subtask));
    }
    return result;
  }

  /// So few that some namespaces split and others do not.
  static constexpr std::uint32_t kSplitEntries = 1000;

  void one_step() {
    const std::uint64_t what = pick(100);
    if (Base::change_state(what)) {
      return;
    }
    if (what < 78) {
      start_snapshot();
    } else if (what < 98) {
      slices();
    } else if (what < 99) {
      finish_snapshot();
    } else {
      rescale();
    }
  }

  void start_snapshot() {
    finish_snapshot();
    barrier_model_ = model_;
    ++checkpoint_;
    since_ = is_incremental_ && pick(5) != 0 ? built_on_ : 0;
    base_chains_ = chains_;
    whole_.clear();
    deltas_ += since_ != 0 ? 1 : 0;
    for (std::size_t s = 0; s < subtasks_.size(); ++s) {
      pending_.push_back(std::make_unique<PendingSnapshot>(
          local_file_system(), directory_.file("s" + std::to_string(next_file_++)),
          std::size_t{1} << 16));
      subtasks_[s].backend->start_snapshot(pending_.back()->sink, checkpoint_, since_,
                                           whole_.emplace_back(pick_whole(s)));
    }
  }

  void slices() {
    confirm(pick(3) == 0);
    for (std::size_t s = 0; s < pending_.size(); ++s) {
      for (std::uint64_t i = pick(4); i > 0; --i) {
        subtasks_[s].backend->copy_slice(pick(500) + 1);
      }
      if (pick(2) == 0) {
        pending_[s]->executor.run_all();
      }
    }
  }

  /// Completes the running snapshot and checks that it holds the model of its barrier.
  void finish_snapshot() {
    if (pending_.empty()) {
      return;
    }
    std::vector<Chain> chains(subtasks_.size());
    for (std::size_t s = 0; s < pending_.size(); ++s) {
      while (subtasks_[s].backend->copy_slice(1000) != HeapBackend::CopyProgress::kDone) {
        pending_[s]->executor.run_all();
      }
      pending_[s]->executor.run_all();
      ASSERT_TRUE(pending_[s]->result.has_value());
      ASSERT_TRUE(pending_[s]->result->ok()) << pending_[s]->result->error().message;
      if (since_ != 0) {
        chains[s] = base_chains_[s];
      }
      chains[s].push_back({pending_[s]->restore_file(), whole_[s]});
      leave_out(chains[s], own_key_groups(s));
    }
    std::vector<RestoreFile> files;
    for (const Chain& chain : chains) {
      for (const Link& link : chain) {
        files.push_back(link.file);
      }
    }
    pending_.clear();
    unconfirmed_.reset();
    if (is_incremental_ && pick(3) != 0) {
      unconfirmed_ = Confirmation{checkpoint_, chains};
      confirm(pick(2) == 0);
    }
    restored_chains_ = std::move(chains);
    files_ = files;
    compare_restored(make(files, static_cast<int>(pick(4)) + 1), barrier_model_);
    Base::compare_evolved(barrier_model_, [&]<class Value>() {
      return make<Value>(files, static_cast<int>(pick(4)) + 1);
    });
  }

  KeyGroupRange own_key_groups(std::size_t subtask) const {
    return key_groups_of_subtask(static_cast<int>(subtask), max_parallelism_,
                                 static_cast<int>(subtasks_.size()));
  }
  /// The key groups to be written whole: all in a base, else mostly none or a few.
  KeyGroupRange pick_whole(std::size_t subtask) {
    const KeyGroupRange own = own_key_groups(subtask);
    if (since_ == 0) {
      return own;
    }
    const auto size = static_cast<std::uint64_t>(own.size());
    if (size == 0 || pick(3) == 0) {
      return {};
    }
    if (pick(4) == 0) {
      return own;  // A delta all the same, but none of the files before it is needed.
    }
    const int first = own.first + static_cast<int>(pick(size));
    return {first, std::min(own.last, first + static_cast<int>(pick(size)))};
  }
  /// Takes those from the front that later files are whole instead of.
  void leave_out(Chain& chain, KeyGroupRange own) {
    const auto is_renewed = [&](int group) {
      return std::any_of(chain.begin() + 1, chain.end(),
                         [&](const Link& link) { return link.whole.contains(group); });
    };
    for (;;) {
      for (int group = own.first; group <= own.last; ++group) {
        if (chain.front().whole.contains(group) && !is_renewed(group)) {
          return;
        }
      }
      if (chain.size() == 1) {
        return;
      }
      chain.erase(chain.begin());
      ++left_out_;
    }
  }

  /// The last checkpoint is known to be complete, now or while the next is copied; or never, and
  /// nothing builds on it.
  void confirm(bool is_now) {
    if (!is_now || !unconfirmed_.has_value()) {
      return;
    }
    built_on_ = unconfirmed_->checkpoint;
    chains_ = std::move(unconfirmed_->chains);
    unconfirmed_.reset();
    for (Subtask& subtask : subtasks_) {
      subtask.backend->forget_before(built_on_);
    }
  }

  /// Goes on from the last snapshot with another parallelism, as after a crash.
  void rescale() {
    finish_snapshot();
    if (!files_.empty() && !::testing::Test::HasFailure()) {
      const int parallelism = static_cast<int>(pick(4)) + 1;
      const bool goes_on =
          is_incremental_ && parallelism == static_cast<int>(restored_chains_.size());
      unconfirmed_.reset();
      built_on_ = goes_on ? checkpoint_ : 0;
      chains_ = goes_on ? restored_chains_ : std::vector<Chain>();
      open(files_, parallelism);
      model_ = barrier_model_;
    }
  }

  const bool is_incremental_;
  CheckpointId checkpoint_ = 0;  ///< of the last snapshot
  CheckpointId since_ = 0;       ///< what it builds on
  CheckpointId built_on_ = 0;    ///< the last one that was confirmed
  int deltas_ = 0;
  std::vector<Chain> chains_;         ///< of built_on_, by subtask
  std::vector<Chain> base_chains_;    ///< of since_
  std::vector<KeyGroupRange> whole_;  ///< of the running snapshot
  int left_out_ = 0;
  struct Confirmation {
    CheckpointId checkpoint;
    std::vector<Chain> chains;
  };
  std::optional<Confirmation> unconfirmed_;
  std::vector<Chain> restored_chains_;  ///< of files_
  TemporaryDirectory directory_;
  Map barrier_model_;
  std::vector<std::unique_ptr<PendingSnapshot>> pending_;
  std::vector<RestoreFile> files_;
  int next_file_ = 0;
};

TEST(HeapBackendModel, EightByteKeysWithPlainValues) {
  Model<std::uint64_t, Sum> model(1);
  model.run(kSteps, 20'000, 128);
  EXPECT_GT(model.operations(), 10'000U);
}
TEST(HeapBackendModel, AMillionOperations) {
  int evolutions = 0;
  run_operations([&](std::uint64_t seed) {
    Model<std::uint64_t, Sum> model(seed, seed % 2 == 0);
    model.run(kSteps, 20'000, 128);
    evolutions += model.evolutions();
    return model.operations();
  });
  EXPECT_GT(evolutions, 0);
}
TEST(HeapBackendModel, FewKeysStayInOneTable) {
  Model<std::int32_t, Sum> model(2);
  model.run(kSteps, 300, 128);
}
TEST(HeapBackendModel, OddMaxParallelism) {
  Model<std::uint64_t, std::string> model(3);
  model.run(kSteps, 8'000, 37);
}
TEST(HeapBackendModel, StringKeysWithLists) {
  Model<std::string, std::vector<std::string>> model(4);
  model.run(kSteps / 2, 10'000, 128);
}
TEST(HeapBackendModel, SixteenByteKeys) {
  Model<Point, Sum> model(5);
  model.run(kSteps, 12'000, 16);
}
TEST(HeapBackendModel, SixByteKeys) {
  Model<Triple, std::string> model(6);
  model.run(kSteps / 2, 5'000, 8);
}

TEST(HeapBackendModel, DeltasOfEightByteKeys) {
  Model<std::uint64_t, Sum> model(11, true);
  constexpr int kEnough = 1'400;  // until a chain loses a file that is not needed
  model.run(kEnough, 20'000, 128);
  EXPECT_GT(model.deltas(), kEnough / 100);
  EXPECT_GT(model.left_out(), 0);
}
TEST(HeapBackendModel, DeltasOfFewKeysInOneTable) {
  Model<std::int32_t, Sum> model(12, true);
  model.run(2 * kSteps, 300, 128);
}
TEST(HeapBackendModel, DeltasWithAnOddMaxParallelism) {
  Model<std::uint64_t, std::string> model(13, true);
  model.run(2 * kSteps, 8'000, 37);
}
TEST(HeapBackendModel, DeltasOfStringKeysWithLists) {
  Model<std::string, std::vector<std::string>> model(14, true);
  model.run(kSteps, 10'000, 128);
}
TEST(HeapBackendModel, DeltasOfSixByteKeys) {
  Model<Triple, std::string> model(16, true);
  model.run(kSteps, 5'000, 8);
}

}  // namespace
}  // namespace weir::state::test
