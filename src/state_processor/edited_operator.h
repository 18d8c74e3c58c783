#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/file_system.h"
#include "state/heap_backend.h"
#include "state_processor/stored_state.h"
#include "weir/operator.h"
#include "weir/savepoint_editor.h"

namespace weir::state_processor {

/// One operator's keyed state of all key groups in memory, and what operators see of the runtime,
/// as far as there is any without a job.
class HeapEditedOperator final : public detail::EditedOperator, private OperatorContext {
 public:
  HeapEditedOperator(std::string uid, int max_parallelism);

  /// Takes what all subtasks of the operator have. `files` outlives this.
  Status restore(FileSystem& files, StoredState stored);
  /// Writes everything there is now. Blocks. May be called again.
  Result<state::SnapshotFileInfo> write(FileSystem& files, const std::string& path);

  OperatorContext& context() override { return *this; }
  void for_each_key(const std::vector<StateTable*>& tables, const KeyVisitor& visit) override;

 private:
  const SubtaskInfo& info() const override { return info_; }
  MetricGroup& metrics() override { return *metrics_; }
  Output& output() override;
  Output& side_output(int index) override;
  KeyedStateBackend& keyed_state() override { return backend_; }
  OperatorStateBackend& operator_state() override;
  bool is_restored() const override { return false; }
  TimestampMs processing_time() const override;

  const SubtaskInfo info_;
  std::unique_ptr<MetricGroup> metrics_;
  std::optional<StoredState> stored_;  ///< what the backend reads, at the latest when it is written
  state::HeapBackend backend_;
};

}  // namespace weir::state_processor
