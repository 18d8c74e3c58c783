#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "state/heap_backend.h"
#include "state/model_operations.h"
#include "state/model_site.h"

namespace weir::state::test {

/// Random operations on heap backends beside std::map; snapshots in slices, whole ones and chains
/// of deltas, plain and compressed, of which some overlap, are abandoned, cannot be written or are
/// never confirmed; restarts into other parallelisms at any moment.
template <class K, class V>
class HeapModel : public ModelOperations<HeapBackend, K, V> {
  using Base = ModelOperations<HeapBackend, K, V>;
  using Base::compare;
  using Base::compare_restored;
  using Base::keys_;
  using Base::max_parallelism_;
  using Base::model_;
  using Base::operations_;
  using Base::pick;
  using Base::subtasks_;
  using typename Base::Subtask;
  template <class, class>
  friend class HeapModel;

 public:
  using typename Base::Expected;

  explicit HeapModel(std::uint64_t seed, bool is_incremental = false,
                     std::shared_ptr<ModelSite> site = std::make_shared<ModelSite>())
      : Base(seed), is_incremental_(is_incremental), site_(std::move(site)) {}

  /// A later version of the job goes on from the last snapshot of `earlier`.
  template <class Earlier>
  explicit HeapModel(HeapModel<K, Earlier>& earlier)
      : Base(earlier.pick(1'000'000)),
        is_incremental_(earlier.is_incremental_),
        site_(earlier.site_),
        checkpoint_(earlier.checkpoint_) {
    max_parallelism_ = earlier.max_parallelism_;
    keys_ = earlier.keys_;
    operations_ = earlier.operations_;
    earlier.finish_all();
    if (earlier.last_.has_value()) {
      last_ = Taken{earlier.last_->id, chains_of(*earlier.last_), evolved(earlier.last_->expected)};
      ++site_->counts.versions;
    }
  }

  void run(int steps, std::uint64_t keys, int max_parallelism) {
    max_parallelism_ = max_parallelism;
    keys_ = keys;
    open({}, 1);
    Base::fill_untouched();
    operate(steps);
  }
  /// After the constructor that takes over.
  void go_on(int steps) {
    if (last_.has_value()) {
      restart();
      has_own_snapshot_ = false;
      operate(steps);
      // The version after this one need not know what the one before it wrote.
      while (!has_own_snapshot_ && !::testing::Test::HasFailure()) {
        start_snapshot();
        finish_all();
      }
    }
  }
  /// From a savepoint, of whatever backend.
  void go_on_from(const ModelSavepoint<K, V>& savepoint, int steps, std::uint64_t keys,
                  int max_parallelism) {
    max_parallelism_ = max_parallelism;
    keys_ = keys;
    last_ = Taken{0, {}, savepoint.expected};
    for (const RestoreFile& file : savepoint.files) {
      last_->chains.push_back({Link{file, {}}});
    }
    ++site_->counts.savepoints;
    restart();
    operate(steps);
  }
  /// Random ones.
  void operate(int steps) {
    if (Base::run_steps(steps, [this] { one_step(); })) {
      finish_all();
      compare(subtasks_, model_);
    }
  }
  /// The whole state now, in as many subtasks as there are or in `parallelism`.
  ModelSavepoint<K, V> savepoint(int parallelism = 0) {
    finish_all();
    std::vector<Subtask> other;
    if (parallelism != 0) {
      std::vector<RestoreFile> files = whole_files(subtasks_);
      other = make(files, parallelism, 0);
    }
    return ModelSavepoint<K, V>::of(*site_, whole_files(parallelism == 0 ? subtasks_ : other),
                                    model_);
  }
  int parallelism() const { return static_cast<int>(subtasks_.size()); }
  const ModelCounts& counts() const { return site_->counts; }

 private:
  struct Link {
    RestoreFile file;
    KeyGroupRange whole;
  };
  using Chain = std::vector<Link>;
  /// A complete snapshot.
  struct Taken {
    CheckpointId id = 0;
    std::vector<Chain> chains;  ///< by subtask
    Expected expected;
    std::vector<RestoreFile> files() const {
      std::vector<RestoreFile> all;
      for (const Chain& chain : chains) {
        for (const Link& link : chain) {
          all.push_back(link.file);
        }
      }
      return all;
    }
  };
  /// One under way.
  struct Running {
    CheckpointId id = 0;
    CheckpointId since = 0;
    std::vector<Chain> base_chains;  ///< of `since`
    std::vector<KeyGroupRange> whole;
    Expected expected;
    std::vector<std::unique_ptr<PendingSnapshot>> pending;
    bool may_fail = false;
    bool is_unwanted = false;
  };

  template <class OtherTaken>
  static std::vector<Chain> chains_of(const OtherTaken& other) {
    std::vector<Chain> chains;
    for (const auto& chain : other.chains) {
      Chain& copy = chains.emplace_back();
      for (const auto& link : chain) {
        copy.push_back({link.file, link.whole});
      }
    }
    return chains;
  }

  void open(const std::vector<RestoreFile>& files, int parallelism) {
    subtasks_ = make(files, parallelism, built_on_);
    chains_.resize(subtasks_.size());
    for (const Subtask& subtask : subtasks_) {
      if (!subtask.backend->can_build_on(built_on_)) {
        built_on_ = 0;  // Its values have been migrated.
      }
    }
  }

  std::vector<Subtask> make(const std::vector<RestoreFile>& files, int parallelism,
                            CheckpointId built_on) {
    const bool opens_all = files.empty() || pick(3) != 0;
    std::vector<Subtask> result;
    for (int i = 0; i < parallelism; ++i) {
      Subtask subtask;
      subtask.backend = std::make_unique<HeapBackend>(HeapBackend::Options{
          "model", max_parallelism_, key_groups_of_subtask(i, max_parallelism_, parallelism),
          limits(), is_incremental_});
      if (!files.empty()) {
        const Status status = subtask.backend->restore(local_file_system(), files);
        EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().message);
      }
      if (built_on != 0) {
        subtask.backend->build_on_restored(built_on);
      }
      Base::open_states(subtask, opens_all);
      result.push_back(std::move(subtask));
    }
    return result;
  }

  std::vector<RestoreFile> whole_files(std::vector<Subtask>& subtasks) {
    std::vector<RestoreFile> files;
    for (Subtask& subtask : subtasks) {
      files.push_back(
          take_snapshot(*subtask.backend, local_file_system(), site_->new_path("whole")));
    }
    return files;
  }

  /// So few entries that some namespaces split and others do not; marks in small shards too.
  ShardLimits limits() {
    constexpr std::uint32_t kSplitEntries = 1000;
    return {kSplitEntries, pick(2) == 0 ? WrittenSlots::Limits() : WrittenSlots::Limits{2, 16}};
  }

  void one_step() {
    const std::uint64_t what = pick(200);
    if (Base::change_state(what / 2)) {
      return;
    }
    if (what < 156) {
      start_snapshot();
    } else if (what < 192) {
      slices();
    } else if (what < 194) {
      abandon();
    } else if (what < 197) {
      finish_all();
    } else {
      restart();
    }
  }

  void barrier() override { start_snapshot(); }
  void start_snapshot() {
    constexpr std::size_t kRunningMax = 2;
    if (running_.size() == kRunningMax || pick(3) != 0) {
      finish_all();
    }
    site_->counts.overlapped += running_.empty() ? 0 : 1;
    Running& snapshot = running_.emplace_back();
    snapshot.expected = model_;
    snapshot.id = ++checkpoint_;
    snapshot.since = is_incremental_ && pick(5) != 0 ? built_on_ : 0;
    snapshot.base_chains = chains_;
    snapshot.may_fail = pick(8) == 0;
    site_->counts.deltas += snapshot.since != 0 ? 1 : 0;
    const bool is_compressed = pick(2) == 0;
    FileSystem& files =
        snapshot.may_fail ? site_->faulty_files(this->random_()) : local_file_system();
    for (std::size_t s = 0; s < subtasks_.size(); ++s) {
      snapshot.pending.push_back(std::make_unique<PendingSnapshot>(
          files, site_->new_path("s"), std::size_t{1} << 16, is_compressed));
      snapshot.whole.push_back(pick_whole(s, snapshot.since));
      subtasks_[s].backend->start_snapshot(snapshot.pending.back()->sink, snapshot.id,
                                           snapshot.since, snapshot.whole.back());
    }
  }

  void slices() {
    confirm(pick(3) == 0);
    for (std::size_t s = 0; s < subtasks_.size(); ++s) {
      for (std::uint64_t i = pick(4); i > 0; --i) {
        subtasks_[s].backend->copy_slice(pick(500) + 1);
      }
      for (Running& snapshot : running_) {
        if (pick(2) == 0) {
          snapshot.pending[s]->executor.run_all();
        }
      }
    }
  }

  /// The coordinator gives the newest up: some subtasks hear of it now, others later or never.
  void abandon() {
    if (running_.empty()) {
      return;
    }
    running_.back().is_unwanted = true;
    for (Subtask& subtask : subtasks_) {
      if (pick(3) != 0) {
        subtask.backend->abandon_snapshot(Error{ErrorCode::kCancelled, "not wanted"});
        EXPECT_FALSE(subtask.backend->is_copying());
      }
    }
  }

  void finish_all() {
    while (!running_.empty() && !::testing::Test::HasFailure()) {
      finish_oldest();
    }
  }

  /// Completes the oldest running snapshot and checks that it holds the model of its barrier.
  void finish_oldest() {
    Running snapshot = std::move(running_.front());
    running_.pop_front();
    const bool is_newest = running_.empty();
    bool is_complete = !snapshot.is_unwanted;
    for (std::size_t s = 0; s < snapshot.pending.size(); ++s) {
      PendingSnapshot& pending = *snapshot.pending[s];
      while (is_newest) {  // The others have no more to copy.
        const auto progress = subtasks_[s].backend->copy_slice(1000);
        if (progress == HeapBackend::CopyProgress::kDone ||
            progress == HeapBackend::CopyProgress::kFailed) {
          break;
        }
        pending.executor.run_all();
      }
      pending.executor.run_all();
      ASSERT_TRUE(pending.result.has_value());
      if (!pending.result->ok()) {
        ASSERT_TRUE(snapshot.may_fail || snapshot.is_unwanted) << pending.result->error().message;
        ASSERT_FALSE(value_or_fail(local_file_system().exists(pending.path)));
        is_complete = false;
      }
    }
    if (!is_complete) {
      ++(snapshot.is_unwanted ? site_->counts.abandoned : site_->counts.failed);
      return;
    }
    take(std::move(snapshot));
  }

  void take(Running snapshot) {
    Taken taken{snapshot.id, {}, std::move(snapshot.expected)};
    for (std::size_t s = 0; s < snapshot.pending.size(); ++s) {
      Chain chain = snapshot.since != 0 ? snapshot.base_chains[s] : Chain();
      chain.push_back({snapshot.pending[s]->restore_file(), snapshot.whole[s]});
      leave_out(chain, own_key_groups(s));
      taken.chains.push_back(std::move(chain));
    }
    unconfirmed_.reset();
    if (is_incremental_ && pick(3) != 0) {
      unconfirmed_ = Confirmation{taken.id, taken.chains};
      confirm(pick(2) == 0);
    }
    has_own_snapshot_ = true;
    last_ = std::move(taken);
    compare_restored(make(last_->files(), static_cast<int>(pick(4)) + 1, 0), last_->expected);
  }

  KeyGroupRange own_key_groups(std::size_t subtask) const {
    return key_groups_of_subtask(static_cast<int>(subtask), max_parallelism_, parallelism());
  }
  /// The key groups to be written whole: all in a base, else mostly none or a few.
  KeyGroupRange pick_whole(std::size_t subtask, CheckpointId since) {
    const KeyGroupRange own = own_key_groups(subtask);
    if (since == 0) {
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
      ++site_->counts.left_out;
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

  /// Goes on from the last snapshot, mostly with another parallelism: after a stop with all
  /// snapshots complete, or after a crash in the midst of them.
  void restart() {
    if (pick(2) == 0) {
      finish_all();
    }
    if (!last_.has_value() || ::testing::Test::HasFailure()) {
      return;
    }
    site_->counts.crashes += running_.empty() ? 0 : 1;
    subtasks_.clear();
    for (Running& snapshot : running_) {
      for (const auto& pending : snapshot.pending) {
        if (pick(2) == 0) {  // Else the process ends before its I/O threads come to it.
          pending->executor.run_all();
        }
      }
    }
    running_.clear();
    const auto old = static_cast<int>(last_->chains.size());
    const int parallelism = pick(3) == 0 ? old : static_cast<int>(pick(4)) + 1;
    site_->counts.rescales += parallelism == old ? 0 : 1;
    const bool goes_on = is_incremental_ && parallelism == old;
    unconfirmed_.reset();
    built_on_ = goes_on ? last_->id : 0;
    chains_ = goes_on ? last_->chains : std::vector<Chain>();
    open(last_->files(), parallelism);
    model_ = last_->expected;
    compare_restored(subtasks_, model_);
  }

  const bool is_incremental_;
  std::shared_ptr<ModelSite> site_;
  CheckpointId checkpoint_ = 0;  ///< of the last snapshot that was started
  CheckpointId built_on_ = 0;    ///< the last one that was confirmed
  std::vector<Chain> chains_;    ///< of built_on_, by subtask
  struct Confirmation {
    CheckpointId checkpoint;
    std::vector<Chain> chains;
  };
  std::optional<Confirmation> unconfirmed_;
  std::deque<Running> running_;    ///< oldest first
  bool has_own_snapshot_ = false;  ///< this version has completed one
  std::optional<Taken> last_;
};

}  // namespace weir::state::test
