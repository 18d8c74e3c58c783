#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "state/model_operations.h"
#include "state/model_site.h"
#include "state/rocksdb/rocksdb_backend.h"

namespace weir::state::test {

/// Random operations on RocksDB backends beside std::map, with a cache far smaller than the state;
/// snapshots of both kinds with work on I/O threads at any later time, of which some overlap, are
/// abandoned or cannot be written; restarts into other parallelisms at any moment.
template <class K, class V>
class RocksModel : public ModelOperations<RocksDbBackend, K, V> {
  using Base = ModelOperations<RocksDbBackend, K, V>;
  using Base::compare;
  using Base::compare_restored;
  using Base::keys_;
  using Base::max_parallelism_;
  using Base::model_;
  using Base::operations_;
  using Base::pick;
  using Base::pick_namespace;
  using Base::subtasks_;
  using typename Base::Subtask;
  template <class, class>
  friend class RocksModel;

 public:
  using typename Base::Expected;

  explicit RocksModel(std::uint64_t seed,
                      std::shared_ptr<ModelSite> site = std::make_shared<ModelSite>())
      : Base(seed), site_(std::move(site)) {}

  /// A later version of the job goes on from the last snapshot of `earlier`.
  template <class Earlier>
  explicit RocksModel(RocksModel<K, Earlier>& earlier)
      : Base(earlier.pick(1'000'000)), site_(earlier.site_), checkpoint_(earlier.checkpoint_) {
    max_parallelism_ = earlier.max_parallelism_;
    keys_ = earlier.keys_;
    operations_ = earlier.operations_;
    earlier.finish_all();
    if (earlier.last_.has_value()) {
      last_ = Stored{earlier.last_->is_state_file, earlier.last_->files,
                     evolved(earlier.last_->expected)};
      ++site_->counts.versions;
    }
  }

  void run(int steps, std::uint64_t keys, int max_parallelism) {
    max_parallelism_ = max_parallelism;
    keys_ = keys;
    open(1, nullptr);
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
    last_ = Stored{true, {}, savepoint.expected};
    for (const RestoreFile& file : savepoint.files) {
      last_->files.push_back({RocksDbFile{file.path, file.expected, {}}});
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
    Stored whole{true, take_state_files(subtasks_), model_};
    if (parallelism != 0) {
      std::vector<Subtask> other = make(parallelism, &whole);
      whole.files = take_state_files(other);
    }
    return ModelSavepoint<K, V>::of(*site_, whole.state_files(), model_);
  }
  int parallelism() const { return static_cast<int>(subtasks_.size()); }
  const ModelCounts& counts() const { return site_->counts; }

 private:
  /// A complete snapshot.
  struct Stored {
    bool is_state_file = false;
    std::vector<std::vector<RocksDbFile>> files;  ///< by subtask
    Expected expected;
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
  /// One subtask's part of a snapshot under way. I/O threads keep it alive.
  struct Pending {
    std::optional<Result<std::vector<RocksDbFile>>> result;
    std::vector<std::string> new_files;
  };
  /// One under way.
  struct Running {
    CheckpointId checkpoint = 0;
    bool is_state_file = false;
    Expected expected;
    std::vector<std::shared_ptr<Pending>> pending;
    bool may_fail = false;
    bool is_unwanted = false;
  };

  std::vector<Subtask> make(int parallelism, const Stored* stored) {
    const bool opens_all = stored == nullptr || pick(3) != 0;
    std::vector<Subtask> result;
    for (int i = 0; i < parallelism; ++i) {
      Subtask subtask;
      RocksDbSettings settings;
      settings.local_directory = site_->local_directory();
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
      Base::open_states(subtask, opens_all);
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
    Stored part{stored.is_state_file, {}, {}};
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
    const std::uint64_t what = pick(200);
    if (Base::change_state(what / 2)) {
      return;
    }
    if (what < 156) {
      start_snapshot();
    } else if (what < 178) {
      slices();
    } else if (what < 186) {
      executor_.run_all();
    } else if (what < 189) {
      compare(subtasks_, model_);
    } else if (what < 191) {
      scan(pick_namespace());
    } else if (what < 193) {
      abandon();
    } else if (what < 197) {
      finish_all();
    } else {
      restart();
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
    const auto space = model_.changed.find(ns);
    ASSERT_TRUE(found == (space == model_.changed.end() ? std::map<K, V>() : space->second));
  }

  RocksDbBackend::SnapshotOptions options_of(const std::shared_ptr<Pending>& pending,
                                             FileSystem& files, bool is_state_file) {
    RocksDbBackend::SnapshotOptions options;
    options.checkpoint = checkpoint_;
    options.files = &files;
    options.is_state_file = is_state_file;
    options.new_file = [site = site_, pending](std::string_view hint) {
      std::string path = site->new_path("f-" + std::string(hint) + "-");
      pending->new_files.push_back(path);
      return RocksDbBackend::NewFile{path, path};
    };
    options.on_done = [pending](Result<std::vector<RocksDbFile>> stored) {
      EXPECT_FALSE(pending->result.has_value()) << "it was told already";
      pending->result.emplace(std::move(stored));
    };
    return options;
  }

  void barrier() override { start_snapshot(); }
  void start_snapshot() {
    constexpr std::size_t kRunningMax = 3;
    if (running_.size() == kRunningMax || pick(3) != 0) {
      finish_all();
    }
    site_->counts.overlapped += running_.empty() ? 0 : 1;
    ++checkpoint_;
    Running& snapshot = running_.emplace_back();
    snapshot.checkpoint = checkpoint_;
    snapshot.expected = model_;
    snapshot.is_state_file = pick(4) == 0;
    snapshot.may_fail = pick(8) == 0;
    FileSystem& files =
        snapshot.may_fail ? site_->faulty_files(this->random_()) : local_file_system();
    const bool is_incremental = completed_.has_value() && pick(4) != 0;
    for (std::size_t s = 0; s < subtasks_.size(); ++s) {
      snapshot.pending.push_back(std::make_shared<Pending>());
      RocksDbBackend::SnapshotOptions options =
          options_of(snapshot.pending.back(), files, snapshot.is_state_file);
      if (is_incremental) {
        options.reusable = completed_->files[s];
      }
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

  /// The coordinator gives all of them up: some subtasks hear of it now, others never.
  void abandon() {
    for (Running& snapshot : running_) {
      snapshot.is_unwanted = true;
    }
    for (Subtask& subtask : subtasks_) {
      if (pick(3) == 0) {
        continue;
      }
      for (const Running& snapshot : running_) {
        subtask.backend->abandon_snapshot(snapshot.checkpoint,
                                          Error{ErrorCode::kCancelled, "not wanted"});
      }
    }
  }

  void complete(Subtask& subtask) {
    while (subtask.backend->copy_slice(1000) != RocksDbBackend::CopyProgress::kDone) {
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
    std::for_each(subtasks_.begin(), subtasks_.end(), [&](Subtask& each) { complete(each); });
    executor_.run_all();
    bool is_complete = !snapshot.is_unwanted;
    for (const auto& pending : snapshot.pending) {
      ASSERT_TRUE(pending->result.has_value());
      if (!pending->result->ok()) {
        ASSERT_TRUE(snapshot.may_fail || snapshot.is_unwanted) << pending->result->error().message;
        for (const std::string& path : pending->new_files) {
          ASSERT_FALSE(value_or_fail(local_file_system().exists(path))) << path;
        }
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
    Stored stored{snapshot.is_state_file, {}, std::move(snapshot.expected)};
    for (const auto& pending : snapshot.pending) {
      stored.files.push_back(pending->result->value());
      for (const RocksDbFile& file : stored.files.back()) {
        const bool is_new = std::find(pending->new_files.begin(), pending->new_files.end(),
                                      file.name) != pending->new_files.end();
        site_->counts.reused += is_new ? 0 : 1;
      }
    }
    if (!stored.is_state_file) {
      completed_ = stored;
    }
    has_own_snapshot_ = true;
    last_ = std::move(stored);
    compare_restored(make(static_cast<int>(pick(4)) + 1, &*last_), last_->expected);
  }

  std::vector<std::vector<RocksDbFile>> take_state_files(std::vector<Subtask>& subtasks) {
    std::vector<std::vector<RocksDbFile>> files;
    for (Subtask& subtask : subtasks) {
      const auto pending = std::make_shared<Pending>();
      subtask.backend->start_snapshot(options_of(pending, local_file_system(), true));
      complete(subtask);
      executor_.run_all();
      files.push_back(value_or_fail(std::move(pending->result).value()));
    }
    return files;
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
    if (pick(2) == 0) {  // Else the process ends before its I/O threads come to it.
      executor_.run_all();
    }
    executor_ = ManualExecutor();
    running_.clear();
    const auto old = static_cast<int>(last_->files.size());
    const int parallelism = pick(3) == 0 ? old : static_cast<int>(pick(4)) + 1;
    site_->counts.rescales += parallelism == old ? 0 : 1;
    open(parallelism, &*last_);
    model_ = last_->expected;
    compare_restored(subtasks_, model_);
    if (parallelism != old || last_->is_state_file) {
      completed_.reset();
    } else {
      completed_ = last_;
    }
  }

  std::shared_ptr<ModelSite> site_;
  ManualExecutor executor_;
  CheckpointId checkpoint_ = 0;
  std::deque<Running> running_;  ///< oldest first
  bool has_own_snapshot_ = false;      ///< this version has completed one
  std::optional<Stored> completed_;  ///< the last checkpoint
  std::optional<Stored> last_;       ///< the last snapshot
};

}  // namespace weir::state::test
