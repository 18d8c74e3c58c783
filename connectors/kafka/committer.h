#pragma once

#include <map>
#include <memory>
#include <string>

#include "kafka/committable.h"
#include "kafka/epoch_replay.h"
#include "kafka/live_transactions.h"
#include "kafka/sink_options.h"

namespace weir::kafka {

/// Ends prepared transactions: through the live producer when it is in this process, else, and
/// whenever that one cannot tell what happened, by stored identity and marker.
///
/// An epoch that the broker provably rolled back is produced again from its replay log, but only
/// while nothing that follows it in its subtask stands in the topic: a running job fails over
/// first, and what was prepared after it is rolled back before it is produced.
class KafkaCommitter final : public Committer {
 public:
  KafkaCommitter(const SinkOptions& options, SinkContext context, ClientConfig config,
                 std::shared_ptr<PrefixClaim> claim);

  void begin_restore(const std::vector<Committable>& restored) override;
  Result<CommitResult> commit(const Committable& committable) override;
  Status check_no_later_results(const std::vector<std::string>& restored_writer_states,
                                const std::vector<Committable>& restored_committables,
                                TimestampMs snapshot_ms) override;
  Status abort_orphans(const std::vector<std::string>& restored_writer_states,
                       const std::vector<Committable>& restored_committables) override;

 private:
  Result<CommitResult> commit_through(LiveTransaction& live, const Committable& committable,
                                      const PreparedTransaction& prepared);
  Result<MarkerFact> settled_marker(const std::string& transactional_id, const MarkerPlace& place);
  Result<CommitResult> commit_by_identity(const Committable& committable,
                                          const PreparedTransaction& prepared);
  Result<TransactionVerdict> judge_by_marker(EndTxnAnswer answer,
                                             const PreparedTransaction& prepared,
                                             const CommittableId& id);
  Result<CommitResult> bring_back(const Committable& committable,
                                  const PreparedTransaction& prepared);
  Result<CommitResult> start_replay(const Committable& committable,
                                    const PreparedTransaction& prepared);
  Status roll_back_later(const CommittableId& id);
  Result<CommitResult> continue_replay(const Committable& committable,
                                       const PreparedTransaction& prepared);
  PreparedEpoch facts_of(const PreparedTransaction& prepared, const CommittableId& id);

  const SinkOptions options_;
  const SinkContext context_;
  const std::shared_ptr<PrefixClaim> claim_;
  RecoveryClient client_;
  std::vector<Committable> restored_;
  bool are_writers_open_ = false;
  /// Epochs being produced again, by transactional id: the broker has settled their own
  /// transaction.
  std::map<std::string, EpochReplay> replays_;
};

}  // namespace weir::kafka
