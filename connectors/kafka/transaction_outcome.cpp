#include "kafka/transaction_outcome.h"

#include <charconv>

#include "kafka/protocol.h"

namespace weir::kafka {
namespace {

/// A marker this near to its expiry may be gone already: brokers' clocks differ from ours.
constexpr std::int64_t kRetentionMarginMs = 3'600'000;

TransactionVerdict judge_present(const Marker& marker, const PreparedEpoch& epoch) {
  if (marker.incarnation != epoch.incarnation) {
    if (marker.from.incarnation == epoch.incarnation &&
        marker.from.checkpoint >= epoch.checkpoint) {
      return TransactionVerdict::kAlreadyCommitted;
    }
    const bool is_before = is_in_past(epoch.lineage, marker.incarnation, marker.checkpoint) &&
                           marker.checkpoint < epoch.checkpoint;
    return is_before ? TransactionVerdict::kAborted : TransactionVerdict::kUnknown;
  }
  if (marker.checkpoint == epoch.checkpoint) {
    return marker.attempt == epoch.attempt ? TransactionVerdict::kAlreadyCommitted
                                           : TransactionVerdict::kUnknown;
  }
  if (marker.checkpoint > epoch.checkpoint) {
    return marker.attempt >= epoch.attempt ? TransactionVerdict::kAlreadyCommitted
                                           : TransactionVerdict::kUnknown;
  }
  return marker.attempt <= epoch.attempt ? TransactionVerdict::kAborted
                                         : TransactionVerdict::kUnknown;
}

/// The coordinator has decided about this very transaction; only the decision is not known.
bool is_decided(EndTxnAnswer answer) {
  return answer == EndTxnAnswer::kInvalidState || answer == EndTxnAnswer::kFenced ||
         answer == EndTxnAnswer::kUnknownProducer;
}

/// Reads "<name>=<number>" and the blank after it.
std::optional<std::int64_t> take_field(std::string_view& text, std::string_view name) {
  if (!text.starts_with(name)) {
    return std::nullopt;
  }
  text.remove_prefix(name.size());
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) {
    return std::nullopt;
  }
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

}  // namespace

EndTxnAnswer classify_end_txn(std::int16_t error_code) {
  switch (error_code) {
    case kNoError:
      return EndTxnAnswer::kDone;
    case kConcurrentTransactions:
      return EndTxnAnswer::kInProgress;
    case kNotCoordinator:
    case kCoordinatorNotAvailable:
    case kCoordinatorLoadInProgress:
      return EndTxnAnswer::kTryElsewhere;
    case kInvalidTxnState:
      return EndTxnAnswer::kInvalidState;
    case kInvalidProducerEpoch:
    case kProducerFenced:
      return EndTxnAnswer::kFenced;
    case kInvalidProducerIdMapping:
      return EndTxnAnswer::kUnknownProducer;
    case kTransactionalIdAuthorizationFailed:
    case kClusterAuthorizationFailed:
      return EndTxnAnswer::kNotAllowed;
    default:
      return EndTxnAnswer::kOther;
  }
}

LineageEntry branch_of(const Lineage& lineage, std::int64_t incarnation) {
  for (std::size_t i = 0; i < lineage.size(); ++i) {
    if (lineage[i].incarnation == incarnation) {
      return i == 0 ? LineageEntry{} : lineage[i - 1];
    }
  }
  return lineage.empty() ? LineageEntry{} : lineage.back();
}

std::string marker_metadata(const Marker& marker) {
  const std::string from = marker.from.checkpoint == 0
                               ? ""
                               : " from=" + std::to_string(marker.from.incarnation) +
                                     " at=" + std::to_string(marker.from.checkpoint);
  return "weir1 checkpoint=" + std::to_string(marker.checkpoint) +
         " attempt=" + std::to_string(marker.attempt) +
         " incarnation=" + std::to_string(marker.incarnation) + from;
}

std::optional<Marker> parse_marker(std::int64_t offset, std::string_view metadata) {
  const auto checkpoint = take_field(metadata, "weir1 checkpoint=");
  const auto attempt = take_field(metadata, " attempt=");
  // Without a line: written before there were any.
  const auto incarnation =
      metadata.empty() ? std::optional<std::int64_t>(0) : take_field(metadata, " incarnation=");
  LineageEntry from;
  if (!metadata.empty()) {
    const auto line = take_field(metadata, " from=");
    const auto at = take_field(metadata, " at=");
    if (!line.has_value() || !at.has_value()) {
      return std::nullopt;
    }
    from = {*line, *at};
  }
  if (!checkpoint.has_value() || !attempt.has_value() || !incarnation.has_value() ||
      !metadata.empty() || *checkpoint != offset) {
    return std::nullopt;
  }
  return Marker{*checkpoint, *attempt, *incarnation, from};
}

std::string_view verdict_name(TransactionVerdict verdict) {
  switch (verdict) {
    case TransactionVerdict::kCommitted:
      return "committed";
    case TransactionVerdict::kAlreadyCommitted:
      return "already committed";
    case TransactionVerdict::kRetry:
      return "open";
    case TransactionVerdict::kReadMarker:
      return "marker needed";
    case TransactionVerdict::kFence:
      return "hidden by a later transaction of the id";
    case TransactionVerdict::kAborted:
      return "aborted";
    case TransactionVerdict::kUnknown:
      return "unknown";
  }
  return "unknown";
}

TransactionVerdict judge_transaction(EndTxnAnswer answer, const MarkerFact& marker,
                                     const PreparedEpoch& epoch) {
  switch (answer) {
    case EndTxnAnswer::kDone:
      return TransactionVerdict::kCommitted;
    case EndTxnAnswer::kInProgress:
    case EndTxnAnswer::kTryElsewhere:
    case EndTxnAnswer::kNoAnswer:
      return TransactionVerdict::kRetry;
    case EndTxnAnswer::kInvalidState:
    case EndTxnAnswer::kFenced:
    case EndTxnAnswer::kUnknownProducer:
    case EndTxnAnswer::kNotAllowed:
    case EndTxnAnswer::kOther:
      break;
  }
  switch (marker.state) {
    case MarkerFact::State::kUnread:
      return TransactionVerdict::kReadMarker;
    case MarkerFact::State::kUnstable:
      // What holds the marker back is not the epoch's own transaction, but one begun later under
      // the same id: a replay that died before its commit.
      return is_decided(answer) ? TransactionVerdict::kFence : TransactionVerdict::kRetry;
    case MarkerFact::State::kForeign:
      return TransactionVerdict::kUnknown;
    case MarkerFact::State::kPresent: {
      const TransactionVerdict verdict = judge_present(marker.marker, epoch);
      // Without the right to end the transaction, "not committed" may still mean "open".
      return verdict == TransactionVerdict::kAborted && !is_decided(answer)
                 ? TransactionVerdict::kUnknown
                 : verdict;
    }
    case MarkerFact::State::kAbsent: {
      const bool may_have_expired =
          epoch.age_ms < 0 || epoch.age_ms + kRetentionMarginMs >= epoch.marker_retention_ms;
      return may_have_expired || !is_decided(answer) ? TransactionVerdict::kUnknown
                                                     : TransactionVerdict::kAborted;
    }
  }
  return TransactionVerdict::kUnknown;
}

}  // namespace weir::kafka
