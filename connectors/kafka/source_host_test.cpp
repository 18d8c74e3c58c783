#include "kafka/source_host.h"

#include <chrono>
#include <thread>

#include "kafka/test_broker.h"

namespace weir::kafka::test {

using namespace std::chrono_literals;

Status SourceHost::make_readers() {
  for (int subtask = 0; subtask < parallelism_; ++subtask) {
    SourceReaderContext context;
    context.subtask.subtask = subtask;
    context.subtask.parallelism = parallelism_;
    context.metrics = &metrics_;
    context.queue_bytes = queue_bytes;
    context.wake = [] {};
    context.request_split = [] {};
    WEIR_ASSIGN(auto reader, source_->create_reader(std::move(context)));
    WEIR_TRY(reader->start());
    readers_.push_back(std::move(reader));
  }
  return {};
}

Status SourceHost::start() {
  WEIR_TRY(make_readers());
  WEIR_ASSIGN(enumerator_, source_->create_enumerator({}));
  WEIR_TRY(enumerator_->start(*this, {}));
  return assign_error;
}

Status SourceHost::restore(const Restored& from) {
  WEIR_TRY(make_readers());
  for (std::size_t i = 0; i < from.splits.size(); ++i) {
    WEIR_TRY(readers_[i % readers_.size()]->add_splits({from.splits[i]}));
  }
  WEIR_ASSIGN(enumerator_, source_->restore_enumerator({}, from.enumerator));
  WEIR_TRY(enumerator_->start(*this, from.splits));
  return assign_error;
}

void SourceHost::assign(int subtask, std::vector<SourceSplit> splits) {
  const Status added = readers_[static_cast<std::size_t>(subtask)]->add_splits(std::move(splits));
  if (!added.ok()) {
    assign_error = added;
  }
}

void SourceHost::signal_no_more_splits(int subtask) {
  readers_[static_cast<std::size_t>(subtask)]->no_more_splits();
}

SourceHost::Restored SourceHost::snapshot(CheckpointId checkpoint) {
  Restored taken;
  taken.enumerator = enumerator_->snapshot(checkpoint).value();
  for (const auto& reader : readers_) {
    for (SourceSplit& split : reader->snapshot(checkpoint)) {
      taken.splits.push_back(std::move(split));
    }
  }
  return taken;
}

void SourceHost::complete(CheckpointId checkpoint) {
  for (const auto& reader : readers_) {
    reader->notify_checkpoint_complete(checkpoint);
  }
}

Status SourceHost::read(std::size_t count) {
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  while (std::chrono::steady_clock::now() < deadline) {
    std::size_t finished = 0;
    bool has_more = false;
    for (const auto& reader : readers_) {
      WEIR_ASSIGN(const PollResult result, reader->poll(output));
      finished += result == PollResult::kFinished ? 1 : 0;
      has_more = has_more || result == PollResult::kMore;
    }
    is_finished_ = finished == readers_.size();
    if (is_finished_ || output.all().size() + output.parsed.size() >= count) {
      return {};
    }
    if (!has_more) {
      std::this_thread::sleep_for(1ms);
    }
  }
  return Error{ErrorCode::kTimeout, "the source neither ends nor gives enough records"};
}

KafkaSourceBuilder<Line> line_source(const std::string& topic) {
  KafkaSourceBuilder<Line> builder;
  builder.set_bootstrap_servers(TestBroker::get().bootstrap())
      .set_topics({topic})
      .set_deserializer([](const ConsumedMessage& message, Line& out) -> Status {
        out.text = message.value.value_or("");
        if (out.text.starts_with("bad")) {
          return Error{ErrorCode::kUser, "not a line"};
        }
        return {};
      });
  return builder;
}

}  // namespace weir::kafka::test
