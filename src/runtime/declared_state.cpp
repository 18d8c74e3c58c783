#include "runtime/declared_state.h"

#include <algorithm>
#include <exception>
#include <memory>
#include <utility>

#include "base/clock.h"
#include "runtime/metric_registry.h"
#include "runtime/task_scope.h"
#include "state/heap_backend.h"
#include "state/heap_timer_queue.h"
#include "weir/operator.h"

namespace weir::runtime {
namespace {

class NoOutput final : public Output {
 public:
  void emit(BatchPtr /*batch*/) override {}
  bool is_full() const override { return false; }
};

/// Notes what is opened, on a backend that holds nothing.
class KeyedRecorder final : public KeyedStateBackend {
 public:
  KeyedRecorder(const SubtaskInfo& info, std::vector<DeclaredState::Keyed>& declared)
      : backend_({subtask_label(info), info.max_parallelism, info.key_groups}),
        declared_(declared) {}

  Result<StateTable*> open_table(StateTableDescriptor descriptor) override {
    auto opened = backend_.open_table(descriptor);
    if (opened.ok()) {
      note(state::StateKind::kTable, descriptor);
    }
    return opened;
  }
  Result<TimerQueue*> open_timers(std::string name, const TypeOps& key) override {
    auto opened = backend_.open_timers(name, key);
    if (opened.ok()) {
      note(state::StateKind::kTimers, state::HeapTimerQueue::descriptor(std::move(name), key));
    }
    return opened;
  }
  Status status() const override { return backend_.status(); }

 private:
  void note(state::StateKind kind, const StateTableDescriptor& descriptor) {
    declared_.push_back(
        {state::StateSchema::of(kind, descriptor.name, *descriptor.key, *descriptor.value),
         descriptor.value->evolution()});
  }

  state::HeapBackend backend_;
  std::vector<DeclaredState::Keyed>& declared_;
};

class ListRecorder final : public OperatorStateBackend {
 public:
  ListRecorder(const state::MemoryOperatorState::Lists& stored, DeclaredState& declared)
      : stored_(stored), declared_(declared) {
    restored_.set_restored(stored);
  }

  Result<Restored> open(const Descriptor& descriptor) override {
    DeclaredState::List note{descriptor.name, state::declared_list(descriptor), {}, {}};
    if (const auto stored = stored_.find(descriptor.name); stored != stored_.end()) {
      const auto migration = state::plan_operator_state_migration(stored->second, descriptor);
      note.refusal = migration.ok() ? "" : migration.error().message;
      note.changes = migration.ok() ? migration.value().changes() : note.changes;
    }
    const bool is_refused = !note.refusal.empty();
    last_opened_ = descriptor.name;
    declared_.lists.push_back(std::move(note));
    // The other states are to be noted, too.
    return is_refused ? Restored() : restored_.open(descriptor);
  }
  void set(const std::string& /*name*/, std::vector<std::string> /*items*/) override {}
  const std::string& last_opened() const { return last_opened_; }

 private:
  const state::MemoryOperatorState::Lists& stored_;
  state::MemoryOperatorState restored_;
  DeclaredState& declared_;
  std::string last_opened_;
};

class RecordingContext final : public OperatorContext {
 public:
  RecordingContext(SubtaskInfo info, const state::MemoryOperatorState::Lists& restored,
                   DeclaredState& declared)
      : info_(std::move(info)),
        keyed_(info_, declared.keyed),
        lists_(restored, declared),
        is_restored_(!restored.empty()) {}

  const SubtaskInfo& info() const override { return info_; }
  MetricGroup& metrics() override { return metrics_.group(metric_scope(info_)); }
  Output& output() override { return output_; }
  Output& side_output(int /*index*/) override { return output_; }
  KeyedStateBackend& keyed_state() override { return keyed_; }
  OperatorStateBackend& operator_state() override { return lists_; }
  bool is_restored() const override { return is_restored_; }
  TimestampMs processing_time() const override { return system_clock().wall_ms(); }
  const std::string& last_list() const { return lists_.last_opened(); }

 private:
  const SubtaskInfo info_;
  MetricRegistry metrics_;
  NoOutput output_;
  KeyedRecorder keyed_;
  ListRecorder lists_;
  const bool is_restored_;
};

/// Makes an operator and opens it. Errors: those of its open(), and what that threw.
Status open_on(const PlanOperator& op, const std::string& label, RecordingContext& context) {
  try {
    const std::unique_ptr<Operator> made = op.create_operator();
    const Status opened = made->open(context);
    return opened.ok() ? Status() : opened.error().with_context(label);
  } catch (const std::exception& exception) {
    return Error{ErrorCode::kUser, label + ": user code threw: " + exception.what()};
  } catch (...) {
    return Error{ErrorCode::kUser, label + ": user code threw"};
  }
}

}  // namespace

Result<DeclaredState> declared_state_of(const PlanVertex& vertex, const PlanOperator& op,
                                        const std::string& job_name,
                                        const state::MemoryOperatorState::Lists& restored) {
  const SubtaskInfo info{job_name,
                         op.name,
                         op.uid,
                         0,
                         vertex.parallelism,
                         vertex.max_parallelism,
                         0,
                         key_groups_of_subtask(0, vertex.max_parallelism, vertex.parallelism)};
  const std::string label = subtask_label(info);
  DeclaredState declared;
  RecordingContext context(info, restored, declared);
  const Status opened = open_on(op, label, context);
  if (opened.ok()) {
    return declared;
  }
  if (restored.empty() || context.last_list().empty()) {
    return opened.error();
  }
  // Is it the job that does not open, or does it refuse what is stored?
  const state::MemoryOperatorState::Lists nothing;
  DeclaredState without;
  RecordingContext context_without(info, nothing, without);
  WEIR_TRY(open_on(op, label, context_without));
  for (DeclaredState::List& list : without.lists) {
    const auto compared =
        std::find_if(declared.lists.begin(), declared.lists.end(),
                     [&](const DeclaredState::List& each) { return each.name == list.name; });
    list = compared == declared.lists.end() ? list : *compared;
  }
  without.refusal = {context.last_list(), opened.error().message};
  return without;
}

}  // namespace weir::runtime
