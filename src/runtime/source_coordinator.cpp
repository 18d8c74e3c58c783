#include "runtime/source_coordinator.h"

#include <exception>
#include <utility>

#include "runtime/dealt_splits.h"

namespace weir::runtime {

class SourceCoordinator::Context final : public EnumeratorContext {
 public:
  explicit Context(SourceCoordinator& owner)
      : owner_(owner),
        dealt_(owner.options_.parallelism, [&owner](int subtask, TaskMessage message) {
          owner.readers_.at(static_cast<std::size_t>(subtask))->post(std::move(message));
        }) {}

  int parallelism() const override { return owner_.options_.parallelism; }
  void assign(int subtask, std::vector<SourceSplit> splits) override {
    dealt_.assign(subtask, std::move(splits));
  }
  void signal_no_more_splits(int subtask) override { dealt_.signal_no_more(subtask); }
  void set_processing_backlog(bool is_backlog) override {
    owner_.options_.inbox->post(
        [on_backlog = owner_.options_.on_backlog, is_backlog] { on_backlog(is_backlog); });
  }
  MetricGroup& metrics() override {
    return owner_.options_.metrics->group(owner_.uid() + ".enumerator");
  }

  void deliver() { dealt_.deliver(); }

 private:
  SourceCoordinator& owner_;
  DealtSplits dealt_;
};

SourceCoordinator::SourceCoordinator(Options options)
    : options_(std::move(options)),
      strand_(std::make_shared<Strand>(*options_.io)),
      context_(std::make_unique<Context>(*this)) {}

SourceCoordinator::~SourceCoordinator() = default;

const std::string& SourceCoordinator::uid() const { return options_.plan->uid; }

Status SourceCoordinator::create(const checkpoint::SourceSnapshot* restored) {
  SourceContext context = options_.context;
  context.is_restored = restored != nullptr;
  auto created = restored == nullptr ? options_.plan->source->create_enumerator(context)
                                     : options_.plan->source->restore_enumerator(
                                           context, restored->enumerator_state);
  if (!created.ok()) {
    return created.error().with_context("source '" + options_.plan->name + "'");
  }
  enumerator_ = std::move(created).value();
  return {};
}

void SourceCoordinator::run(std::function<Status()> work) {
  strand_->run([this, work = std::move(work)] {
    Status status;
    try {
      status = work();
      context_->deliver();
    } catch (const std::exception& exception) {
      status = Error{ErrorCode::kUser, std::string("threw: ") + exception.what()};
    }
    if (!status.ok()) {
      const Error error =
          status.error().with_context("enumerator of source '" + options_.plan->name + "'");
      options_.inbox->post([on_failed = options_.on_failed, error] { on_failed(error); });
    }
  });
}

void SourceCoordinator::start(std::vector<Task*> readers,
                              const std::vector<SourceSplit>& reader_splits) {
  readers_ = std::move(readers);
  is_started_ = true;
  run([this, reader_splits] { return enumerator_->start(*context_, reader_splits); });
  for (const int subtask : std::exchange(early_requests_, {})) {
    on_split_request(subtask);
  }
}

void SourceCoordinator::on_split_request(int subtask) {
  if (!is_started_) {
    early_requests_.push_back(subtask);
    return;
  }
  run([this, subtask] { return enumerator_->handle_split_request(subtask); });
}

void SourceCoordinator::on_time(std::int64_t now_ns) {
  const std::int64_t interval_ns = enumerator_->poll_interval().count() * 1'000'000;
  if (!is_started_ || interval_ns <= 0 || now_ns < next_poll_ns_) {
    return;
  }
  const bool is_first = next_poll_ns_ == 0;
  next_poll_ns_ = now_ns + interval_ns;
  if (!is_first) {
    run([this] { return enumerator_->poll(); });
  }
}

void SourceCoordinator::trigger(const Barrier& barrier,
                                std::function<void(Result<std::string>)> on_done) {
  strand_->run([this, barrier, on_done = std::move(on_done)] {
    Result<std::string> state = Error{ErrorCode::kUser, "no snapshot"};
    try {
      state = enumerator_->snapshot(barrier.checkpoint);
      context_->deliver();
    } catch (const std::exception& exception) {
      state = Error{ErrorCode::kUser, std::string("threw: ") + exception.what()};
    }
    if (state.ok()) {
      for (Task* reader : readers_) {
        reader->post(TriggerBarrier{barrier});
      }
    }
    options_.inbox->post([on_done, state = std::move(state)] { on_done(state); });
  });
}

}  // namespace weir::runtime
