#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "checkpoint/commit_ledger.h"
#include "checkpoint/manifest.h"
#include "runtime/io_executor.h"
#include "runtime/job_inbox.h"
#include "weir/sink.h"

namespace weir::runtime {

/// Performs what the commit ledger decides: commits on I/O threads, off the record path, one at a
/// time per sink. Called on the job's thread.
class CommitDriver {
 public:
  struct SinkEntry {
    std::shared_ptr<Sink> sink;
    SinkContext context;
    std::string name;
  };
  struct Options {
    checkpoint::CommitLedgerOptions ledger;
    Clock* clock = nullptr;
    IoExecutor* io = nullptr;
    JobInbox* inbox = nullptr;
    /// kFenced when a newer attempt leads, which has rolled back what it did not restore; any
    /// thread. Asked before each commit.
    std::function<Status()> check_leading = [] { return Status(); };
    /// A commit cannot be proved: the job stops.
    std::function<void(const Error&)> on_stop;
    /// Something was proved.
    std::function<void()> on_progress;
  };

  CommitDriver(Options options, std::vector<SinkEntry> sinks);

  /// Makes the committers. May block.
  Status open();
  /// Commits everything the restored checkpoint left open, then aborts what earlier attempts left
  /// behind. `on_done` runs on the job's thread when writers may open.
  /// With `is_branch`, a start from a chosen snapshot, sinks first prove that their targets hold no
  /// later results, unless `are_later_results_kept`.
  struct Branch {
    bool is_branch = false;
    bool are_later_results_kept = false;
    /// Former uids of sinks that were renamed.
    std::map<std::string, std::string> former_uids;
  };
  void restore(const checkpoint::Manifest* manifest, Branch branch,
               std::function<void(Status)> on_done);

  void add(std::vector<Committable> committables) { ledger_.add(std::move(committables)); }
  void on_checkpoint_complete(CheckpointId checkpoint);
  void on_time();

  const checkpoint::CommitLedger& ledger() const { return ledger_; }
  /// Age of the oldest commit that was tried and is not proved yet; 0 = there is none.
  std::int64_t oldest_age_ms() const {
    const auto oldest_ms = ledger_.oldest_first_try_ms();
    return oldest_ms.has_value() ? now_ms() - *oldest_ms : 0;
  }
  /// The ledger knows of everything that the restored checkpoint left open.
  bool is_restored() const { return is_restored_; }
  /// Files of proved commits since the last call.
  std::vector<std::string> take_released_files() { return std::exchange(released_files_, {}); }

 private:
  struct Lane {
    SinkEntry entry;
    std::shared_ptr<Strand> strand;
    std::unique_ptr<Committer> committer;  // null when the sink is not exactly-once
    /// For what was prepared under another name: by another pipeline, which the chosen snapshot is
    /// of, or before the sink was renamed.
    std::unique_ptr<Committer> foreign_committer;
    std::string foreign_uid;
  };

  Status open_foreign(const std::string& pipeline_id, const Branch& branch);
  void check_later_results(std::size_t index, TimestampMs snapshot_ms);
  std::vector<Committable> restored_of(const std::string& sink_uid, const Lane& lane) const;
  std::vector<Committable> all_restored_of(const std::string& sink_uid) const;
  void start_restore();
  void act_on(const checkpoint::LedgerActions& actions);
  void start(const checkpoint::StartCommit& commit);
  void abort_orphans(const std::string& sink_uid);
  void orphans_done(const std::string& sink_uid, const Status& status);
  std::int64_t now_ms() const { return options_.clock->monotonic_ns() / 1'000'000; }

  const Options options_;
  checkpoint::CommitLedger ledger_;
  std::map<std::string, Lane> lanes_;
  std::vector<std::string> uids_;
  std::vector<Committable> restored_;
  std::map<std::string, std::vector<std::string>> restored_writer_states_;
  std::function<void(Status)> on_restored_;
  std::size_t lanes_to_restore_ = 0;
  bool is_restored_ = false;
  std::vector<std::string> released_files_;
};

}  // namespace weir::runtime
