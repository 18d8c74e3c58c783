#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "checkpoint/manifest.h"
#include "checkpoint/store.h"
#include "simulator/attempt.h"
#include "simulator/broker.h"
#include "simulator/chance.h"
#include "simulator/disk.h"
#include "simulator/schedule.h"

namespace weir::simulator {

/// Thrown when an oracle is not satisfied; nobody but the simulator itself catches it.
struct Violation {
  std::string what;
};

/// A process's clocks: the monotonic one is virtual time, the wall clock may jump.
class ProcessClock final : public Clock {
 public:
  explicit ProcessClock(const TimestampMs& now_ms) : now_ms_(now_ms) {}
  TimestampMs wall_ms() override;
  std::int64_t monotonic_ns() override { return now_ms_ * 1'000'000; }
  void jump(std::int64_t ms) { offset_ms_ += ms; }

 private:
  const TimestampMs& now_ms_;
  std::int64_t offset_ms_ = 0;
  TimestampMs highest_ms_ = 0;
};

struct Process {
  int id = 0;
  bool is_dead = false;      ///< does nothing any more
  bool is_killed = false;    ///< dies at its next file operation or event
  bool is_stalled = false;   ///< stands in a file operation while others run
  TimestampMs awake_ms = 0;  ///< does nothing before
  std::unique_ptr<ProcessClock> clock;
  std::unique_ptr<ProcessFiles> files;
  std::unique_ptr<checkpoint::CheckpointStore> store;
  std::unique_ptr<Attempt> attempt;
  std::uint64_t attempt_serial = 0;
};

/// One schedule: processes, disk, broker, virtual time, faults, and the oracles that watch them.
class World {
 public:
  World(const Schedule& schedule, Chance chance, bool is_traced);

  /// Runs to the end of the job and checks what is left. Throws Violation.
  void run();

  TimestampMs now_ms() const { return now_ms_; }
  Chance& chance() { return chance_; }
  const Schedule& schedule() const { return schedule_; }
  const FaultPlan& faults() const { return schedule_.faults; }
  bool is_faulty() const { return now_ms_ < schedule_.faults.end_ms; }
  /// A fault of the plan happens now, once in `n` times.
  bool strikes(bool is_planned, std::int64_t n) {
    return is_planned && is_faulty() && chance_.one_in(n);
  }
  Broker& broker() { return broker_; }
  Disk& disk() { return disk_; }

  /// `process` null = an event of the world outside.
  void at(TimestampMs when_ms, Process* process, std::function<void()> work);
  void trace(std::string_view what, std::int64_t a = 0, std::int64_t b = 0, std::int64_t c = 0);
  void expect(bool condition, const std::string& promise) {
    if (!condition) {
      violate(promise);
    }
  }
  [[noreturn]] void violate(const std::string& what);

  // Facts that attempts tell the oracles.
  void about_to_publish(const checkpoint::Manifest& manifest);
  void on_restored(const Process& process, const std::optional<checkpoint::Manifest>& manifest,
                   AttemptId attempt);
  bool was_published(CheckpointId checkpoint) const;
  /// False for a zombie: the files it was restored from may be gone.
  bool is_leading(AttemptId attempt) const { return attempt >= highest_restored_; }
  void on_aborted(CheckpointId checkpoint, AttemptId attempt);
  void on_begun(CheckpointId checkpoint, AttemptId attempt);
  void on_job_stopped(Process& process, bool is_stop_requested, CheckpointId terminal);
  void on_attempt_failed(Process& process, const Error& error);

  std::uint64_t next_serial() { return ++serial_; }
  std::uint64_t trace_hash() const { return trace_hash_; }
  std::int64_t event_count() const { return event_count_; }
  int kill_count() const { return kill_count_; }
  int attempt_count() const { return attempt_count_; }
  std::int64_t published_count() const { return published_count_; }
  std::string root() const;

 private:
  struct Event {
    TimestampMs when_ms = 0;
    std::uint64_t order = 0;
    Process* process = nullptr;
    std::function<void()> work;
  };
  struct Later {
    bool operator()(const Event& a, const Event& b) const {
      return a.when_ms != b.when_ms ? a.when_ms > b.when_ms : a.order > b.order;
    }
  };
  /// What the oracles remember of a published checkpoint.
  struct Published {
    AttemptId attempt = 0;
    std::vector<std::string> files;
    std::vector<std::int64_t> transactions;
    bool is_input_done = false;  ///< every split was read to its end
    bool is_published = false;
    bool is_void = false;  ///< a zombie's, published below the latest
  };

  bool run_next();
  void run_until(TimestampMs when_ms);
  void dispatch(Event event);
  Process& start_process();
  void open_store(Process& process);
  void start_attempt(Process& process);
  Result<bool> try_start_attempt(Process& process);
  void refuse_wrong_jobs(const checkpoint::Manifest& manifest);
  void kill(Process& process);
  void replace(Process& process, std::int64_t delay_ms);
  Fate choose_fate(Process& process, DiskOperation operation);
  void stall(Process& process);
  void schedule_faults();
  void random_fault();
  void cut_power();
  void on_manifest(const std::string& path);
  void on_file_removed(const std::string& path);
  void check_published_files(const std::string& when);
  void check_counts(const checkpoint::Manifest& manifest);
  void check_output();
  void check_garbage();
  CheckpointId latest_published() const;

  Schedule schedule_;
  Chance chance_;
  const bool is_traced_;
  TimestampMs now_ms_ = 1000;
  std::vector<Event> events_;  ///< a heap
  std::uint64_t event_order_ = 0;
  std::int64_t event_count_ = 0;
  std::uint64_t trace_hash_ = 0;
  std::uint64_t serial_ = 0;
  Disk disk_;
  Broker broker_;
  std::vector<std::unique_ptr<Process>> processes_;
  Process* official_ = nullptr;  ///< the one the supervisor believes in
  Process* lock_holder_ = nullptr;
  int stall_depth_ = 0;
  int kill_count_ = 0;
  int attempt_count_ = 0;
  TimestampMs full_from_ms_ = 0;
  TimestampMs full_until_ms_ = 0;
  bool is_finished_ = false;

  std::map<CheckpointId, Published> checkpoints_;  ///< announced ones
  std::set<CheckpointId> existing_;                ///< published and not deleted
  std::int64_t published_count_ = 0;
  AttemptId highest_restored_ = 0;  ///< attempt that has read its restore point
  TimestampMs last_progress_ms_ = 0;
};

}  // namespace weir::simulator
