// TypedModel on RocksDB: checkpoints, which name files again, and savepoints' state files.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "state/rocksdb/rocksdb_backend.h"
#include "state/typed_model.h"

namespace weir::state::test {
namespace {

/// The backends of a job and their snapshots.
class RocksKeeper {
 public:
  using Backend = RocksDbBackend;
  static constexpr int kMaxParallelism = 128;
  struct Stored {
    bool is_state_file = false;
    std::vector<std::vector<RocksDbFile>> files;  ///< by subtask
  };

  explicit RocksKeeper(std::uint64_t seed) : chance_(seed) {}

  /// `goes_on`: they are those of the job from now on.
  std::vector<std::unique_ptr<RocksDbBackend>> make(int parallelism, const Stored* stored,
                                                    bool goes_on) {
    RocksDbSettings settings;
    settings.local_directory = site_.local_directory();
    settings.memory_bytes = std::size_t{1} << 20;
    settings.write_buffer_bytes = std::size_t{300} << 10;
    settings.block_bytes = 1024;
    settings.are_timers_in_store = ++chance_ % 2 == 0;  // It may change with every start.
    if (goes_on) {
      const bool is_as_wide =
          stored != nullptr && static_cast<int>(stored->files.size()) == parallelism;
      completed_.reset();
      if (is_as_wide && !stored->is_state_file) {
        completed_ = *stored;
      }
      site_.counts.rescales += stored != nullptr && !is_as_wide ? 1 : 0;
    }
    std::vector<std::unique_ptr<RocksDbBackend>> backends;
    for (int i = 0; i < parallelism; ++i) {
      const KeyGroupRange own = key_groups_of_subtask(i, kMaxParallelism, parallelism);
      backends.push_back(std::make_unique<RocksDbBackend>(
          RocksDbBackend::Options{"model", kMaxParallelism, own, settings, executor_.runner()}));
      expect_ok(backends.back()->open());
      if (stored != nullptr) {
        expect_ok(restore(*backends.back(), *stored, own));
      }
    }
    return backends;
  }
  /// With a `fault`, something goes wrong with the files.
  void start(const std::vector<RocksDbBackend*>& backends, bool is_incremental,
             std::uint64_t fault) {
    ++id_;
    is_state_file_ = ++chance_ % 4 == 0;
    may_fail_ = fault != 0;
    for (std::size_t s = 0; s < backends.size(); ++s) {
      pending_.push_back(std::make_shared<Pending>());
      RocksDbBackend::SnapshotOptions options;
      options.checkpoint = id_;
      options.files = may_fail_ ? &site_.faulty_files(fault) : &local_file_system();
      options.is_state_file = is_state_file_;
      options.new_file = [this](std::string_view hint) {
        std::string path = site_.new_path("f-" + std::string(hint) + "-");
        return RocksDbBackend::NewFile{path, path};
      };
      if (is_incremental && completed_.has_value()) {
        options.reusable = completed_->files[s];
      }
      options.on_done = [pending = pending_.back()](Result<std::vector<RocksDbFile>> files) {
        EXPECT_FALSE(pending->has_value()) << "it was told already";
        pending->emplace(std::move(files));
      };
      backends[s]->start_snapshot(std::move(options));
    }
  }
  /// I/O threads come to it.
  void work(bool is_much) {
    if (is_much) {
      executor_.run_all();
    }
  }
  /// Nothing if files could not be written.
  std::optional<Stored> finish(const std::vector<RocksDbBackend*>& backends) {
    std::optional<Stored> stored = Stored{is_state_file_, {}};
    for (RocksDbBackend* backend : backends) {
      while (backend->copy_slice() != RocksDbBackend::CopyProgress::kDone) {
      }
    }
    executor_.run_all();
    for (std::size_t s = 0; s < pending_.size(); ++s) {
      const auto& result = *pending_[s];
      EXPECT_TRUE(result.has_value() && (result->ok() || may_fail_));
      if (!result->ok()) {
        stored.reset();
      } else if (stored.has_value()) {
        stored->files.push_back(result->value());
        site_.counts.reused += completed_.has_value() ? count_reused(s, result->value()) : 0;
      }
    }
    pending_.clear();
    site_.counts.failed += stored.has_value() ? 0 : 1;
    if (stored.has_value() && !is_state_file_) {
      completed_ = stored;
    }
    return stored;
  }
  void abandon(const std::vector<RocksDbBackend*>& backends) {
    ++site_.counts.abandoned;
    for (RocksDbBackend* backend : backends) {
      backend->abandon_snapshot(id_, Error{ErrorCode::kCancelled, "not wanted"});
    }
    pending_.clear();
  }
  void crash() {
    site_.counts.crashes += pending_.empty() ? 0 : 1;
    pending_.clear();
    if (++chance_ % 2 == 0) {  // Else the process ends before its I/O threads come to it.
      executor_.run_all();
    }
    executor_ = ManualExecutor();
  }
  const ModelCounts& counts() const { return site_.counts; }

 private:
  using Pending = std::optional<Result<std::vector<RocksDbFile>>>;

  static void expect_ok(const Status& status) {
    EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().message);
  }
  static Status restore(RocksDbBackend& backend, const Stored& stored, KeyGroupRange own) {
    std::vector<RocksDbBackend::RestoreFrom> from;
    std::vector<RestoreFile> state_files;
    const auto old_parallelism = static_cast<int>(stored.files.size());
    for (int i = 0; i < old_parallelism; ++i) {
      const KeyGroupRange old = key_groups_of_subtask(i, kMaxParallelism, old_parallelism);
      if (old.first > own.last || own.first > old.last) {
        continue;
      }
      for (const RocksDbFile& file : stored.files[static_cast<std::size_t>(i)]) {
        from.push_back({file.name, file});
        state_files.push_back({file.name, file.file});
      }
    }
    return stored.is_state_file ? backend.restore_state_files(local_file_system(), state_files)
                                : backend.restore(local_file_system(), from);
  }
  int count_reused(std::size_t subtask, const std::vector<RocksDbFile>& files) const {
    int reused = 0;
    for (const RocksDbFile& file : files) {
      for (const RocksDbFile& old : completed_->files[subtask]) {
        reused += old.name == file.name ? 1 : 0;
      }
    }
    return reused;
  }

  std::uint64_t chance_;
  ModelSite site_;
  ManualExecutor executor_;
  CheckpointId id_ = 0;
  bool is_state_file_ = false;
  bool may_fail_ = false;
  std::optional<Stored> completed_;  ///< the last checkpoint
  std::vector<std::shared_ptr<Pending>> pending_;
};

TEST(RocksDbTypedModel, StringKeys) {
  TypedModel<RocksKeeper, std::string> model(1, 300);
  model.run(kSteps / 4);
}
TEST(RocksDbTypedModel, AMillionOperations) {
  ModelCounts seen;
  run_operations([&](std::uint64_t seed) {
    const auto run = [&](auto&& model) {
      model.run(kSteps);
      seen += model.counts();
      return model.operations();
    };
    return seed % 2 == 0 ? run(TypedModel<RocksKeeper, std::int64_t>(seed, 800))
                         : run(TypedModel<RocksKeeper, std::string>(seed, 400));
  });
  EXPECT_GT(seen.reused, 0);
  EXPECT_GT(seen.failed, 0);
  EXPECT_GT(seen.abandoned, 0);
  EXPECT_GT(seen.crashes, 0);
  EXPECT_GT(seen.rescales, 0);
}

}  // namespace
}  // namespace weir::state::test
