#include "runtime/operator_chain.h"

#include <algorithm>
#include <exception>

#include "runtime/task_scope.h"

namespace weir::runtime {

/// Feeds the next operator of the chain.
class OperatorChain::ChainedInput final : public Output {
 public:
  ChainedInput(OperatorChain& chain, Node& node, int input)
      : chain_(chain), node_(node), input_(input) {}
  void emit(BatchPtr batch) override { chain_.call(node_, std::move(batch), input_); }
  bool is_full() const override { return chain_.is_blocked(); }

 private:
  OperatorChain& chain_;
  Node& node_;
  const int input_;
};

/// Fans one output of an operator out to everything that consumes it.
class OperatorChain::NodeOutput final : public Output {
 public:
  explicit NodeOutput(const OperatorChain& chain) : chain_(chain) {}

  void add(Output* target) { targets_.push_back(target); }
  void add_chained(std::unique_ptr<ChainedInput> target) {
    targets_.push_back(target.get());
    owned_.push_back(std::move(target));
  }

  void emit(BatchPtr batch) override {
    if (batch == nullptr || batch->empty() || targets_.empty()) {
      return;
    }
    for (std::size_t i = 0; i + 1 < targets_.size(); ++i) {
      targets_[i]->emit(batch->clone());
    }
    targets_.back()->emit(std::move(batch));
  }
  bool is_full() const override { return chain_.is_blocked(); }

 private:
  const OperatorChain& chain_;
  std::vector<Output*> targets_;
  std::vector<std::unique_ptr<ChainedInput>> owned_;
};

class OperatorChain::Context final : public OperatorContext {
 public:
  Context(OperatorChain& chain, Node& node, bool is_restored)
      : chain_(chain), node_(node), is_restored_(is_restored) {}

  const SubtaskInfo& info() const override { return node_.info; }
  MetricGroup& metrics() override {
    return chain_.environment_.metrics->group(metric_scope(node_.info));
  }
  Output& output() override { return *node_.outputs.front(); }
  Output& side_output(int index) override {
    return *node_.outputs.at(static_cast<std::size_t>(index) + 1);
  }
  KeyedStateBackend& keyed_state() override {
    WEIR_CHECK_MESSAGE(node_.keyed_state != nullptr, "keyed state on a stream without key_by()");
    return node_.keyed_state->backend();
  }
  OperatorStateBackend& operator_state() override { return node_.operator_state; }
  bool is_restored() const override { return is_restored_; }
  TimestampMs processing_time() const override { return chain_.environment_.clock->wall_ms(); }

 private:
  OperatorChain& chain_;
  Node& node_;
  const bool is_restored_;
};

OperatorChain::Node::Node(SubtaskInfo subtask) : info(std::move(subtask)) {}
OperatorChain::Node::~Node() = default;

OperatorChain::OperatorChain(const PlanVertex& vertex, int subtask,
                             const TaskEnvironment& environment, std::vector<EdgeRef> edges,
                             std::function<void()> wake)
    : environment_(environment), edges_(std::move(edges)) {
  for (const PlanOperator& plan : vertex.operators) {
    auto node = std::make_unique<Node>(
        SubtaskInfo{environment.job_name, plan.name, plan.uid, subtask, vertex.parallelism,
                    vertex.max_parallelism, environment.attempt,
                    key_groups_of_subtask(subtask, vertex.max_parallelism, vertex.parallelism)});
    node->plan = &plan;
    if (plan.sink != nullptr) {
      node->sink = std::make_unique<SinkDriver>(plan, environment, node->info, wake);
    }
    nodes_.push_back(std::move(node));
  }
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    for (const std::vector<PlanTarget>& targets : vertex.operators[i].outputs) {
      auto output = std::make_unique<NodeOutput>(*this);
      for (const PlanTarget& target : targets) {
        if (target.chained_operator >= 0) {
          Node& next = *nodes_[static_cast<std::size_t>(target.chained_operator)];
          output->add_chained(std::make_unique<ChainedInput>(*this, next, 0));
          continue;
        }
        const auto edge = std::find_if(edges_.begin(), edges_.end(),
                                       [&](const EdgeRef& ref) { return ref.edge == target.edge; });
        WEIR_CHECK(edge != edges_.end());
        output->add(edge->output);
      }
      nodes_[i]->outputs.push_back(std::move(output));
    }
  }
}

OperatorChain::~OperatorChain() = default;

Status OperatorChain::open(const TaskRestore& restore) {
  // Consumers first, so that a producer may emit as soon as it is open.
  for (std::size_t i = nodes_.size(); i-- > 0;) {
    Node& node = *nodes_[i];
    if (node.sink != nullptr) {
      WEIR_TRY(node.sink->open(restore.is_restored ? restore.writer_states[i]
                                                   : std::vector<std::string>()));
      continue;
    }
    if (node.plan->create_operator == nullptr) {
      continue;
    }
    const TaskRestore::OfOperator* from = restore.is_restored ? &restore.operators[i] : nullptr;
    if (node.plan->has_keyed_state) {
      WEIR_TRY(open_keyed_state(node, restore.checkpoint, from));
    }
    if (from != nullptr) {
      node.operator_state.set_restored(from->lists);
    }
    node.op = node.plan->create_operator();
    node.context = std::make_unique<Context>(*this, node, restore.is_restored);
    guarded(node, [&] { return node.op->open(*node.context); });
    WEIR_TRY(status_);
    if (node.keyed_state != nullptr) {
      WEIR_TRY(node.keyed_state->finish_restore());
    }
    if (from != nullptr && !from->watermarks.empty()) {
      node.restored_watermarks = from->watermarks;
      node.op->restore_watermarks(from->watermarks);
    }
  }
  return {};
}

Status OperatorChain::open_keyed_state(Node& node, CheckpointId checkpoint,
                                       const TaskRestore::OfOperator* from) {
  WEIR_ASSIGN(node.keyed_state, make_keyed_state(node.info, environment_));
  return from == nullptr ? Status() : node.keyed_state->restore(checkpoint, from->files);
}

template <class F>
void OperatorChain::guarded(const Node& node, F&& work) {
  if (!status_.ok()) {
    return;
  }
  // The one place where exceptions of user code are caught.
  try {
    Status result = work();
    if (!result.ok()) {
      fail(result.error().with_context(subtask_label(node.info)));
    }
  } catch (const std::exception& exception) {
    if (node.keyed_state != nullptr && !node.keyed_state->backend().status().ok()) {
      fail(node.keyed_state->backend().status().error());  // What it could not do threw.
      return;
    }
    fail({ErrorCode::kUser, subtask_label(node.info) + ": user code threw: " + exception.what()});
  } catch (...) {
    fail({ErrorCode::kUser, subtask_label(node.info) + ": user code threw"});
  }
}

void OperatorChain::fail(Error error) {
  if (status_.ok()) {
    status_ = std::move(error);
  }
}

void OperatorChain::call(Node& node, BatchPtr batch, int input) {
  guarded(node, [&] {
    return node.sink != nullptr ? node.sink->write(std::move(batch))
                                : node.op->process_batch(std::move(batch), input);
  });
}

void OperatorChain::process_batch(BatchPtr batch, int input) {
  call(*nodes_.front(), std::move(batch), input);
}

Output& OperatorChain::head_output() { return *nodes_.front()->outputs.front(); }

void OperatorChain::process_watermark(TimestampMs watermark) {
  WEIR_CHECK(!is_busy());
  if (watermark <= watermark_) {
    return;
  }
  watermark_before_end_ = watermark_;
  watermark_ = watermark;
  passing_watermark_ = watermark;
  advance_watermark(0);
}

void OperatorChain::advance_watermark(std::size_t from_node) {
  for (std::size_t i = from_node; i < nodes_.size() && status_.ok(); ++i) {
    Node& node = *nodes_[i];
    if (node.op == nullptr) {
      continue;
    }
    guarded(node, [&] { return node.op->process_watermark(*passing_watermark_); });
    if (node.op->is_busy()) {
      busy_node_ = static_cast<int>(i);
      return;
    }
  }
  passed_watermark_ = std::exchange(passing_watermark_, std::nullopt);
}

void OperatorChain::resume() {
  WEIR_CHECK(is_busy());
  Node& node = *nodes_[static_cast<std::size_t>(busy_node_)];
  guarded(node, [&] { return node.op->resume(); });
  if (!status_.ok() || node.op->is_busy()) {
    return;
  }
  const std::size_t next = static_cast<std::size_t>(busy_node_) + 1;
  busy_node_ = -1;
  if (passing_watermark_.has_value()) {
    advance_watermark(next);
  }
}

std::optional<TimestampMs> OperatorChain::take_watermark() {
  return std::exchange(passed_watermark_, std::nullopt);
}

void OperatorChain::process_time(TimestampMs now) {
  WEIR_CHECK(!is_busy());
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    Node& node = *nodes_[i];
    if (node.op == nullptr || node.op->next_processing_time_timer() > now) {
      continue;
    }
    guarded(node, [&] { return node.op->process_time(now); });
    if (node.op->is_busy()) {
      busy_node_ = static_cast<int>(i);
      return;
    }
  }
}

TimestampMs OperatorChain::next_processing_time_timer() {
  TimestampMs next = kMaxTimestamp;
  for (const auto& node : nodes_) {
    if (node->op != nullptr) {
      next = std::min(next, node->op->next_processing_time_timer());
    }
  }
  return next;
}

void OperatorChain::end_input() {
  for (const auto& node : nodes_) {
    if (node->op != nullptr) {
      guarded(*node, [&] { return node->op->end_input(); });
    }
  }
}

bool OperatorChain::is_blocked() const {
  return are_sinks_blocked() || std::any_of(edges_.begin(), edges_.end(), [](const EdgeRef& edge) {
           return edge.output->is_full();
         });
}

bool OperatorChain::are_sinks_blocked() const {
  for (const auto& node : nodes_) {
    if (node->sink != nullptr && node->sink->is_blocked()) {
      return true;
    }
  }
  return false;
}

bool OperatorChain::must_state_wait() const {
  return std::any_of(nodes_.begin(), nodes_.end(), [](const auto& node) {
    return node->keyed_state != nullptr && node->keyed_state->must_wait();
  });
}

void OperatorChain::poll_sinks() {
  for (const auto& node : nodes_) {
    if (node->sink != nullptr) {
      guarded(*node, [&] { return node->sink->poll(); });
    }
  }
}

void OperatorChain::prepare_snapshot(CheckpointId checkpoint) {
  for (const auto& node : nodes_) {
    if (node->op != nullptr) {
      guarded(*node, [&] { return node->op->prepare_snapshot(checkpoint); });
    }
  }
}

void OperatorChain::notify_checkpoint_complete(CheckpointId checkpoint) {
  for (const auto& node : nodes_) {
    if (node->keyed_state != nullptr) {
      node->keyed_state->forget_before(checkpoint);
    }
    if (node->op != nullptr) {
      guarded(*node, [&] { return node->op->notify_checkpoint_complete(checkpoint); });
    }
  }
}

void OperatorChain::notify_checkpoint_aborted(CheckpointId checkpoint) {
  for (const auto& node : nodes_) {
    if (node->op != nullptr) {
      guarded(*node, [&] { return node->op->notify_checkpoint_aborted(checkpoint); });
    }
  }
}

}  // namespace weir::runtime
