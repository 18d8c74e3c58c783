// TypedModel on the heap: whole snapshots and chains of deltas.

#include "state/typed_model.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "state/heap_backend.h"

namespace weir::state::test {
namespace {

/// The backends of a job and their snapshots.
class HeapKeeper {
 public:
  using Backend = HeapBackend;
  static constexpr int kMaxParallelism = 128;
  struct Stored {
    CheckpointId id = 0;
    std::vector<std::vector<RestoreFile>> chains;  ///< by subtask
  };

  explicit HeapKeeper(std::uint64_t seed) : is_incremental_(seed % 4 != 0) {}

  /// `goes_on`: they are those of the job from now on.
  std::vector<std::unique_ptr<HeapBackend>> make(int parallelism, const Stored* stored,
                                                 bool goes_on) {
    constexpr std::uint32_t kSplitEntries = 500;
    const bool is_built_upon = goes_on && is_incremental_ && stored != nullptr &&
                               static_cast<int>(stored->chains.size()) == parallelism;
    if (goes_on) {
      built_on_ = is_built_upon ? *stored : Stored();
      built_on_.chains.resize(static_cast<std::size_t>(parallelism));
      site_.counts.rescales += stored != nullptr && !is_built_upon ? 1 : 0;
    }
    std::vector<std::unique_ptr<HeapBackend>> backends;
    for (int i = 0; i < parallelism; ++i) {
      backends.push_back(std::make_unique<HeapBackend>(
          HeapBackend::Options{"model",
                               kMaxParallelism,
                               key_groups_of_subtask(i, kMaxParallelism, parallelism),
                               {kSplitEntries, {}},
                               is_incremental_}));
      if (stored != nullptr) {
        std::vector<RestoreFile> files;
        for (const auto& chain : stored->chains) {
          files.insert(files.end(), chain.begin(), chain.end());
        }
        const Status status = backends.back()->restore(local_file_system(), files);
        EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().message);
      }
      if (is_built_upon) {
        backends.back()->build_on_restored(stored->id);
      }
    }
    return backends;
  }
  /// With a `fault`, something goes wrong with the files.
  void start(const std::vector<HeapBackend*>& backends, bool is_delta, std::uint64_t fault) {
    ++id_;
    since_ = is_delta && is_incremental_ ? built_on_.id : 0;
    site_.counts.deltas += since_ != 0 ? 1 : 0;
    may_fail_ = fault != 0;
    FileSystem& files = may_fail_ ? site_.faulty_files(fault) : local_file_system();
    for (HeapBackend* backend : backends) {
      pending_.push_back(std::make_unique<PendingSnapshot>(
          files, site_.new_path("s"), std::size_t{1} << 16, /*is_compressed=*/id_ % 2 == 0));
      backend->start_snapshot(pending_.back()->sink, id_, since_);
    }
  }
  /// I/O threads come to it.
  void work(bool is_much) {
    for (std::size_t i = 0; i < pending_.size() && (is_much || i == 0); ++i) {
      pending_[i]->executor.run_all();
    }
  }
  /// Nothing if files could not be written.
  std::optional<Stored> finish(const std::vector<HeapBackend*>& backends) {
    std::optional<Stored> stored = Stored{id_, {}};
    for (std::size_t s = 0; s < pending_.size(); ++s) {
      PendingSnapshot& pending = *pending_[s];
      for (bool has_more = true; has_more;) {
        const auto progress = backends[s]->copy_slice();
        has_more = progress == HeapBackend::CopyProgress::kMore ||
                   progress == HeapBackend::CopyProgress::kWaiting;
        pending.executor.run_all();
      }
      EXPECT_TRUE(pending.result->ok() || may_fail_);
      if (!pending.result->ok()) {
        stored.reset();
      } else if (stored.has_value()) {
        stored->chains.push_back(since_ == 0 ? std::vector<RestoreFile>() : built_on_.chains[s]);
        stored->chains.back().push_back(pending.restore_file());
      }
    }
    pending_.clear();
    site_.counts.failed += stored.has_value() ? 0 : 1;
    if (stored.has_value() && is_incremental_) {
      built_on_ = *stored;
      for (HeapBackend* backend : backends) {
        backend->forget_before(id_);
      }
    }
    return stored;
  }
  void abandon(const std::vector<HeapBackend*>& backends) {
    ++site_.counts.abandoned;
    for (HeapBackend* backend : backends) {
      backend->abandon_snapshot(Error{ErrorCode::kCancelled, "not wanted"});
    }
    work(true);
    pending_.clear();
  }
  void crash() {
    site_.counts.crashes += pending_.empty() ? 0 : 1;
    pending_.clear();
  }
  const ModelCounts& counts() const { return site_.counts; }

 private:
  const bool is_incremental_;
  ModelSite site_;
  CheckpointId id_ = 0;
  CheckpointId since_ = 0;
  bool may_fail_ = false;
  Stored built_on_;
  std::vector<std::unique_ptr<PendingSnapshot>> pending_;
};

TEST(HeapTypedModel, AMillionOperations) {
  ModelCounts seen;
  run_operations([&](std::uint64_t seed) {
    const auto run = [&](auto&& model) {
      model.run(kSteps);
      seen += model.counts();
      return model.operations();
    };
    return seed % 2 == 0 ? run(TypedModel<HeapKeeper, std::int64_t>(seed, 2'000))
                         : run(TypedModel<HeapKeeper, std::string>(seed, 1'000));
  });
  EXPECT_GT(seen.deltas, 0);
  EXPECT_GT(seen.failed, 0);
  EXPECT_GT(seen.abandoned, 0);
  EXPECT_GT(seen.crashes, 0);
  EXPECT_GT(seen.rescales, 0);
}

}  // namespace
}  // namespace weir::state::test
