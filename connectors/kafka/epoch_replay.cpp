#include "kafka/epoch_replay.h"

#include <chrono>
#include <utility>

#include "base/failpoint.h"
#include "kafka/replay_log.h"

namespace weir::kafka {
namespace {

constexpr int kRequestTimeoutMs = 5'000;
/// No record acknowledged and no step done for so long: something is wrong with the transaction.
constexpr int kStallTimeoutMs = 60'000;

bool is_past(Deadline deadline) { return std::chrono::steady_clock::now() >= deadline; }

}  // namespace

EpochReplay::EpochReplay(std::shared_ptr<ProducerHandle> producer, Committable committable,
                         PreparedTransaction prepared, CheckpointFiles* files, LineageEntry branch)
    : producer_(std::move(producer)),
      committable_(std::move(committable)),
      prepared_(std::move(prepared)),
      branch_(branch),
      files_(files),
      stalled_at_(deadline_after_ms(kStallTimeoutMs)) {}

std::string EpochReplay::how_far() const {
  return std::to_string(produced_ - producer_->outstanding()) + " of " +
         std::to_string(prepared_.record_count) + " records";
}

Result<EpochReplay::Progress> EpochReplay::run_slice(Deadline slice_end) {
  slice_end_ = slice_end;
  Result<Progress> progress = run_steps();
  if (progress.ok() && progress.value() == Progress::kGoingOn && is_past(stalled_at_)) {
    progress =
        Error{ErrorCode::kTimeout, "kafka: replaying came to nothing for " +
                                       std::to_string(kStallTimeoutMs) + " ms (" + how_far() + ")"};
  }
  if (!progress.ok() && has_begun_) {
    static_cast<void>(producer_->abort(kRequestTimeoutMs));
  }
  return progress;
}

Result<EpochReplay::Progress> EpochReplay::run_steps() {
  if (!has_begun_) {
    WEIR_TRY(producer_->begin());
    has_begun_ = true;
  }
  while (!is_past(slice_end_)) {
    bool is_done = true;
    switch (step_) {
      case Step::kProduce: {
        WEIR_ASSIGN(is_done, produce());
        break;
      }
      case Step::kFlush: {
        WEIR_ASSIGN(is_done, flush());
        break;
      }
      case Step::kMark:
        WEIR_TRY(producer_->send_marker(prepared_.marker_place(),
                                        {committable_.id.checkpoint, committable_.id.attempt,
                                         committable_.id.incarnation, branch_},
                                        kRequestTimeoutMs));
        kill_point("kafka.replay.before_commit");
        break;
      case Step::kCommit: {
        const ProducerHandle::Ended ended = producer_->commit(kRequestTimeoutMs, detail_);
        if (ended == ProducerHandle::Ended::kCommitted) {
          return Progress::kCommitted;
        }
        if (ended == ProducerHandle::Ended::kBroken) {
          return Progress::kUnproved;
        }
        is_done = false;
        break;
      }
    }
    if (is_done) {
      step_ = static_cast<Step>(static_cast<int>(step_) + 1);
      stalled_at_ = deadline_after_ms(kStallTimeoutMs);
    }
  }
  return Progress::kGoingOn;
}

Status EpochReplay::load_chunk() {
  const std::string& file = committable_.files[next_chunk_];
  WEIR_ASSIGN(const std::string bytes, files_->read(file));
  auto records = decode_replay_chunk(bytes, static_cast<std::uint32_t>(next_chunk_));
  if (!records.ok()) {
    return records.error().with_context(file);
  }
  records_ = std::move(records).value();
  next_record_ = 0;
  ++next_chunk_;
  return {};
}

Result<bool> EpochReplay::produce() {
  while (!is_past(slice_end_)) {
    if (next_record_ == records_.size()) {
      if (next_chunk_ == committable_.files.size()) {
        if (produced_ != prepared_.record_count) {
          return Error{ErrorCode::kCorruption,
                       "kafka: the replay log holds " + std::to_string(produced_) + " of " +
                           std::to_string(prepared_.record_count) + " records"};
        }
        records_.clear();
        return true;
      }
      WEIR_TRY(load_chunk());
      continue;
    }
    WEIR_ASSIGN(const ProducerHandle::Produced produced,
                producer_->produce(records_[next_record_], prepared_.topic, nullptr));
    if (produced == ProducerHandle::Produced::kQueueFull) {
      producer_->flush(20);
      continue;
    }
    ++next_record_;
    ++produced_;
    stalled_at_ = deadline_after_ms(kStallTimeoutMs);
  }
  return false;
}

Result<bool> EpochReplay::flush() {
  const bool is_flushed = producer_->flush(500);
  WEIR_TRY(producer_->error());
  const int outstanding = producer_->outstanding();
  if (std::exchange(outstanding_, outstanding) != outstanding) {
    stalled_at_ = deadline_after_ms(kStallTimeoutMs);
  }
  return is_flushed && outstanding == 0;
}

}  // namespace weir::kafka
