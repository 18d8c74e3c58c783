#include "state_processor/edited_operator.h"

#include <map>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "state/snapshot_file.h"
#include "weir/check.h"

namespace weir::state_processor {
namespace {

/// Metrics that nobody reads.
class UnreadMetrics final : public MetricGroup {
 public:
  Counter& counter(const std::string& name) override { return counters_[name]; }
  Gauge& gauge(const std::string& name) override { return gauges_[name]; }

 private:
  std::map<std::string, Counter> counters_;
  std::map<std::string, Gauge> gauges_;
};

SubtaskInfo info_of(std::string uid, int max_parallelism) {
  SubtaskInfo info;
  info.operator_name = uid;
  info.uid = std::move(uid);
  info.max_parallelism = max_parallelism;
  info.key_groups = {0, max_parallelism - 1};
  return info;
}

}  // namespace

HeapEditedOperator::HeapEditedOperator(std::string uid, int max_parallelism)
    : info_(info_of(std::move(uid), max_parallelism)),
      metrics_(std::make_unique<UnreadMetrics>()),
      backend_({info_.uid, max_parallelism, info_.key_groups}) {}

Status HeapEditedOperator::restore(FileSystem& files, StoredState stored) {
  stored_ = std::move(stored);
  return backend_.restore(files, stored_->files());
}

Result<state::SnapshotFileInfo> HeapEditedOperator::write(FileSystem& files,
                                                          const std::string& path) {
  WEIR_TRY(backend_.status());
  WEIR_TRY(backend_.finish_restore().status());
  std::optional<Result<state::SnapshotFileInfo>> written;
  state::SnapshotFile::Options options;
  options.run = [](const std::function<void()>& job) { job(); };
  options.on_done = [&](Result<state::SnapshotFileInfo> info) { written.emplace(std::move(info)); };
  backend_.start_snapshot(state::SnapshotFile::create(files, path, options));
  while (backend_.is_copying()) {
    backend_.copy_slice();
  }
  WEIR_CHECK(written.has_value());
  return *std::move(written);
}

void HeapEditedOperator::for_each_key(const std::vector<StateTable*>& tables,
                                      const KeyVisitor& visit) {
  for (std::size_t i = 0; i < tables.size(); ++i) {
    tables[i]->for_each(kNoNamespace, [&](const void* key, std::uint32_t hash, const void*) {
      for (std::size_t earlier = 0; earlier < i; ++earlier) {
        if (tables[earlier]->find(kNoNamespace, key, hash) != nullptr) {
          return;
        }
      }
      visit(key, hash);
    });
  }
}

Output& HeapEditedOperator::output() {
  WEIR_CHECK_MESSAGE(false, "a savepoint editor has no output");
  std::abort();
}

Output& HeapEditedOperator::side_output(int /*index*/) { return output(); }

OperatorStateBackend& HeapEditedOperator::operator_state() {
  WEIR_CHECK_MESSAGE(false, "operator state cannot be edited");
  std::abort();
}

TimestampMs HeapEditedOperator::processing_time() const { return system_clock().wall_ms(); }

}  // namespace weir::state_processor
