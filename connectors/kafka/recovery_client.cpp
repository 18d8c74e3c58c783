#include "kafka/recovery_client.h"

#include <algorithm>
#include <charconv>
#include <thread>

namespace weir::kafka {
namespace {

/// Long enough for every transaction that fencing could open (it opens none).
constexpr std::int32_t kFenceTimeoutMs = 60'000;

/// Sleeps 10, 20, 40 ... 250 ms; false once the deadline is reached.
class Backoff {
 public:
  explicit Backoff(Deadline deadline) : deadline_(deadline) {}
  bool wait() {
    if (std::chrono::steady_clock::now() + pause_ >= deadline_) {
      return false;
    }
    std::this_thread::sleep_for(pause_);
    pause_ = std::min(pause_ * 2, std::chrono::milliseconds(250));
    return true;
  }

 private:
  Deadline deadline_;
  std::chrono::milliseconds pause_{10};
};

}  // namespace

EndTxnAnswer RecoveryClient::commit_once(const ProducerIdentity& identity) {
  const Result<std::string> bytes =
      client_.call_coordinator(CoordinatorType::kTransaction, identity.transactional_id, kEndTxnV1,
                               encode_end_txn(identity, true));
  if (!bytes.ok()) {
    last_problem_ = bytes.error().message;
    return bytes.error().code == ErrorCode::kAuthentication ? EndTxnAnswer::kNotAllowed
                                                            : EndTxnAnswer::kNoAnswer;
  }
  const auto code = decode_end_txn(bytes.value());
  if (!code.has_value()) {
    last_problem_ = "malformed answer to EndTxn";
    return EndTxnAnswer::kNoAnswer;
  }
  last_problem_ = "EndTxn answered " + protocol_error_name(*code);
  return classify_end_txn(*code);
}

EndTxnAnswer RecoveryClient::commit(const ProducerIdentity& identity, Deadline deadline) {
  Backoff backoff(deadline);
  for (;;) {
    const EndTxnAnswer answer = commit_once(identity);
    if (answer == EndTxnAnswer::kTryElsewhere) {
      client_.forget_coordinator(CoordinatorType::kTransaction, identity.transactional_id);
    }
    const bool is_open = answer == EndTxnAnswer::kInProgress ||
                         answer == EndTxnAnswer::kTryElsewhere || answer == EndTxnAnswer::kNoAnswer;
    if (!is_open || !backoff.wait()) {
      return answer;
    }
  }
}

Result<MarkerFact> RecoveryClient::read_marker(const MarkerPlace& place, Deadline deadline) {
  Backoff backoff(deadline);
  const TopicPartition where{place.topic, 0};
  for (;;) {
    Result<std::map<TopicPartition, GroupOffset>> offsets =
        client_.group_offsets(place.group, {where});
    if (offsets.ok()) {
      const GroupOffset& found = offsets.value()[where];
      if (!found.offset.has_value()) {
        return MarkerFact{MarkerFact::State::kAbsent, {}};
      }
      const auto marker = parse_marker(*found.offset, found.metadata);
      return marker.has_value() ? MarkerFact{MarkerFact::State::kPresent, *marker}
                                : MarkerFact{MarkerFact::State::kForeign, {}};
    }
    last_problem_ = offsets.error().message;
    const ErrorCode code = offsets.error().code;
    const bool is_transient = code == ErrorCode::kUnavailable || code == ErrorCode::kTimeout;
    if (!is_transient) {
      return offsets.error();
    }
    if (!backoff.wait()) {
      if (last_problem_.find("UNSTABLE") != std::string::npos) {
        return MarkerFact{MarkerFact::State::kUnstable, {}};
      }
      return offsets.error();
    }
  }
}

Status RecoveryClient::fence(const std::string& transactional_id, Deadline deadline) {
  Backoff backoff(deadline);
  const std::string doing = "fencing transactional id '" + transactional_id + "'";
  for (;;) {
    const Result<std::string> bytes =
        client_.call_coordinator(CoordinatorType::kTransaction, transactional_id, kInitProducerIdV1,
                                 encode_init_producer_id(transactional_id, kFenceTimeoutMs));
    Status failure;
    if (!bytes.ok()) {
      failure = bytes.error().with_context("kafka: " + doing);
    } else {
      const auto answer = decode_init_producer_id(bytes.value());
      if (!answer.has_value()) {
        return Error{ErrorCode::kIo, "kafka: malformed answer while " + doing};
      }
      if (answer->error == kNoError) {
        return {};
      }
      if (answer->error == kNotCoordinator || answer->error == kCoordinatorNotAvailable) {
        client_.forget_coordinator(CoordinatorType::kTransaction, transactional_id);
      }
      failure = protocol_error(answer->error, doing);
    }
    last_problem_ = failure.error().message;
    const ErrorCode code = failure.error().code;
    const bool is_transient = code == ErrorCode::kUnavailable || code == ErrorCode::kTimeout;
    if (!is_transient || !backoff.wait()) {
      return failure;
    }
  }
}

std::int64_t RecoveryClient::marker_retention_ms() {
  constexpr std::int64_t kDefaultMs = 7LL * 24 * 60 * 60'000;
  if (marker_retention_ms_.has_value()) {
    return *marker_retention_ms_;
  }
  const auto settings = client_.broker_settings({"offsets.retention.minutes"});
  if (!settings.ok()) {
    return kDefaultMs;
  }
  std::int64_t minutes = kDefaultMs / 60'000;
  const auto found = settings.value().find("offsets.retention.minutes");
  if (found != settings.value().end()) {
    std::from_chars(found->second.data(), found->second.data() + found->second.size(), minutes);
  }
  marker_retention_ms_ = std::min<std::int64_t>(minutes, 1'000'000'000) * 60'000;
  return *marker_retention_ms_;
}

}  // namespace weir::kafka
