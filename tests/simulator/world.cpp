// Time, processes and faults.
#include "simulator/world.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "weir/check.h"

namespace weir::simulator {
namespace {

constexpr TimestampMs kWallStartMs = 1'700'000'000'000;
/// Once faults have stopped: a checkpoint within the first, the end of the job within the second.
constexpr std::int64_t kProgressMaxMs = 5'000;
constexpr std::int64_t kEndMaxMs = 20'000;
constexpr std::int64_t kEventsMax = 300'000;

}  // namespace

TimestampMs ProcessClock::wall_ms() {
  highest_ms_ = std::max(highest_ms_, kWallStartMs + now_ms_ + offset_ms_);
  return highest_ms_;
}

World::World(const Schedule& schedule, Chance chance, bool is_traced)
    : schedule_(schedule),
      chance_(chance),
      is_traced_(is_traced),
      broker_(schedule.split_count * schedule.keys_per_split, schedule.sink_count) {
  schedule_.faults.end_ms += now_ms_;
  disk_.on_published = [this](const std::string& path) { on_manifest(path); };
  disk_.on_removed = [this](const std::string& path) { on_file_removed(path); };
}

void World::run() {
  start_process();
  schedule_faults();
  last_progress_ms_ = schedule_.faults.end_ms;
  while (!is_finished_) {
    expect(run_next(), "something is always under way until the job has ended");
    expect(now_ms_ < last_progress_ms_ + kProgressMaxMs,
           "once faults have stopped, checkpoints complete");
    expect(now_ms_ < schedule_.faults.end_ms + kEndMaxMs && event_count_ < kEventsMax,
           "once faults have stopped, the job ends");
  }
  // Zombies that still sleep wake up, and find nothing to spoil.
  run_until(now_ms_ + 400);
  check_output();
  if (chance_.one_in(4)) {
    check_garbage();  // dear: a restart of its own
  }
}

void World::trace(std::string_view what, std::int64_t a, std::int64_t b, std::int64_t c) {
  std::uint64_t hash = trace_hash_ ^ static_cast<std::uint64_t>(now_ms_);
  for (const char letter : what) {
    hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001b3U;
  }
  hash = Chance::mix(hash + static_cast<std::uint64_t>(a) * 0x9e3779b97f4a7c15U);
  hash = (hash ^ static_cast<std::uint64_t>(b)) * 0x100000001b3U;
  trace_hash_ = (hash ^ static_cast<std::uint64_t>(c)) * 0x100000001b3U;
  if (is_traced_) {
    std::printf("%8lld  %.*s %lld %lld %lld\n", static_cast<long long>(now_ms_),
                static_cast<int>(what.size()), what.data(), static_cast<long long>(a),
                static_cast<long long>(b), static_cast<long long>(c));
  }
}

void World::violate(const std::string& what) {
  throw Violation{what + " (virtual time " + std::to_string(now_ms_) + " ms)"};
}

// ---- events

void World::at(TimestampMs when_ms, Process* process, std::function<void()> work) {
  events_.push_back({when_ms, ++event_order_, process, std::move(work)});
  std::push_heap(events_.begin(), events_.end(), Later());
}

bool World::run_next() {
  if (events_.empty()) {
    return false;
  }
  std::pop_heap(events_.begin(), events_.end(), Later());
  Event event = std::move(events_.back());
  events_.pop_back();
  now_ms_ = std::max(now_ms_, event.when_ms);
  ++event_count_;
  dispatch(std::move(event));
  return true;
}

void World::run_until(TimestampMs when_ms) {
  while (!events_.empty() && events_.front().when_ms <= when_ms) {
    run_next();
  }
  now_ms_ = std::max(now_ms_, when_ms);
}

void World::dispatch(Event event) {
  Process* process = event.process;
  if (process == nullptr) {
    event.work();
    return;
  }
  if (process->is_dead) {
    return;
  }
  if (process->is_stalled || process->awake_ms > now_ms_) {
    // Nothing of it is lost: it happens, in order, when the process is awake again.
    event.when_ms = std::max(process->awake_ms, now_ms_ + 1);
    events_.push_back(std::move(event));
    std::push_heap(events_.begin(), events_.end(), Later());
    return;
  }
  try {
    event.work();
  } catch (const ProcessDied&) {
    kill(*process);
  }
}

// ---- processes

std::string World::root() const { return "/jobs/" + std::string(32, 'a'); }

Process& World::start_process() {
  processes_.push_back(std::make_unique<Process>());
  Process& process = *processes_.back();
  process.id = static_cast<int>(processes_.size());
  process.clock = std::make_unique<ProcessClock>(now_ms_);
  process.files = std::make_unique<ProcessFiles>(
      disk_,
      ProcessFiles::Hooks{
          [this, &process](DiskOperation operation) { return choose_fate(process, operation); },
          [this] { return is_faulty() && now_ms_ >= full_from_ms_ && now_ms_ < full_until_ms_; },
          [this] { return kWallStartMs + now_ms_; },
          [this, &process](const std::string&) {
            if (lock_holder_ != nullptr && lock_holder_ != &process) {
              return false;
            }
            lock_holder_ = &process;
            return true;
          },
          [this, &process] { lock_holder_ = lock_holder_ == &process ? nullptr : lock_holder_; }});
  official_ = &process;
  trace("process", process.id);
  at(now_ms_, &process, [this, &process] { open_store(process); });
  return process;
}

void World::open_store(Process& process) {
  checkpoint::StoreOptions options;
  options.directory = "/jobs";
  options.job_id = std::string(32, 'a');
  options.pipeline_id = "simulated";
  options.read_attempts = 1;
  options.read_retry_delay = DurationMs(0);
  options.first_unique = 1 + static_cast<std::uint64_t>(process.id) * 1'000'000;
  auto store = checkpoint::CheckpointStore::open(*process.files, *process.clock, options);
  if (!store.ok()) {
    at(now_ms_ + 10, &process, [this, &process] { open_store(process); });
    return;
  }
  process.store = std::move(store).value();
  start_attempt(process);
}

void World::start_attempt(Process& process) {
  const Result<bool> started = try_start_attempt(process);
  if (started.ok()) {
    return;
  }
  trace("start fails", process.id, static_cast<std::int64_t>(started.error().code));
  on_attempt_failed(process, started.error());
}

Result<bool> World::try_start_attempt(Process& process) {
  process.attempt_serial = ++serial_;
  process.attempt.reset();
  checkpoint::CheckpointStore& store = *process.store;
  WEIR_ASSIGN(const AttemptId number, store.begin_attempt());
  WEIR_ASSIGN(std::optional<checkpoint::Manifest> restored, store.load_latest());
  on_restored(process, restored, number);
  WEIR_ASSIGN(const CheckpointId highest, store.highest_checkpoint_id());
  const CheckpointId first = std::max(highest, restored.has_value() ? restored->checkpoint : 0) + 1;
  if (restored.has_value()) {
    refuse_wrong_jobs(*restored);
  }
  process.attempt = std::make_unique<Attempt>(*this, process, store, std::move(restored), first);
  const Status started = process.attempt->start();
  if (!started.ok()) {
    process.attempt->fail(started.error());
  }
  return true;
}

void World::on_attempt_failed(Process& process, const Error& error) {
  if (error.code == ErrorCode::kFenced) {
    // Someone else has taken over, or the supervisor has to.
    trace("fenced", process.id);
    process.is_dead = true;
    lock_holder_ = lock_holder_ == &process ? nullptr : lock_holder_;
    if (official_ == &process) {
      replace(process, chance_.between(1, 30));
    }
    return;
  }
  at(now_ms_ + chance_.between(1, 20), &process, [this, &process] { start_attempt(process); });
}

void World::on_job_stopped(Process& process, bool is_stop_requested, CheckpointId terminal) {
  const Published& last = checkpoints_.at(terminal);
  trace("stopped", process.id, terminal, last.is_input_done ? 1 : 0);
  expect(last.is_input_done || is_stop_requested,
         "a job that nobody stops ends with its input, not before");
  process.is_dead = true;
  lock_holder_ = lock_holder_ == &process ? nullptr : lock_holder_;
  if (last.is_input_done && latest_published() == terminal) {
    is_finished_ = true;
  } else if (official_ == &process) {
    replace(process, chance_.between(1, 20));
  }
}

void World::kill(Process& process) {
  if (process.is_dead && !process.is_killed) {
    return;
  }
  trace("kill", process.id);
  ++kill_count_;
  process.is_dead = true;
  lock_holder_ = lock_holder_ == &process ? nullptr : lock_holder_;
  if (official_ == &process) {
    replace(process, chance_.between(1, 40));
  }
}

/// The supervisor starts another process in place of this one, which it takes for dead.
void World::replace(Process& process, std::int64_t delay_ms) {
  official_ = nullptr;
  lock_holder_ = lock_holder_ == &process ? nullptr : lock_holder_;
  at(now_ms_ + delay_ms, nullptr, [this] {
    if (official_ == nullptr) {
      start_process();
    }
  });
}

// ---- faults

Fate World::choose_fate(Process& process, DiskOperation operation) {
  if (process.is_killed) {
    return Fate::kDiesBefore;
  }
  if (!is_faulty()) {
    return Fate::kFine;
  }
  const FaultPlan& faults = schedule_.faults;
  if (faults.zombies && chance_.one_in(200)) {
    stall(process);
    if (process.is_killed) {
      return Fate::kDiesBefore;
    }
  }
  if (faults.kills && chance_.one_in(400)) {
    return chance_.one_in(2) ? Fate::kDiesBefore : Fate::kDiesAfter;
  }
  if (faults.store_errors && chance_.one_in(operation == DiskOperation::kPublish ? 8 : 60)) {
    return chance_.one_in(2) ? Fate::kFailsBefore : Fate::kFailsAfter;
  }
  return Fate::kFine;
}

/// The process stands still between two file operations while the world goes on.
void World::stall(Process& process) {
  constexpr int kDepthMax = 3;
  if (stall_depth_ >= kDepthMax) {
    return;
  }
  const std::int64_t duration_ms =
      chance_.one_in(2) ? chance_.between(1, 30) : chance_.between(30, 250);
  trace("stall", process.id, duration_ms);
  process.is_stalled = true;
  process.awake_ms = now_ms_ + duration_ms;
  if (official_ == &process && chance_.one_in(2)) {
    replace(process, chance_.between(0, 20));
  }
  ++stall_depth_;
  run_until(now_ms_ + duration_ms);
  --stall_depth_;
  ++now_ms_;  // what was put off happens before anything the process does from here on
  process.is_stalled = false;
  process.is_killed = process.is_killed || process.is_dead;
  trace("goes on", process.id);
}

void World::schedule_faults() {
  const std::int64_t span_ms = schedule_.faults.end_ms - now_ms_;
  for (std::int64_t left = chance_.between(1, 8); left > 0; --left) {
    at(now_ms_ + chance_.below(span_ms), nullptr, [this] { random_fault(); });
  }
  for (TimestampMs when_ms = now_ms_;
       schedule_.faults.short_transactions && when_ms < now_ms_ + span_ms; when_ms += 40) {
    at(when_ms, nullptr, [this] { broker_.expire(now_ms_ - schedule_.transaction_timeout_ms); });
  }
}

void World::random_fault() {
  const FaultPlan& faults = schedule_.faults;
  Process* process = official_;
  const bool has_attempt = process != nullptr && !process->is_dead && !process->is_stalled &&
                           process->awake_ms <= now_ms_ && process->attempt != nullptr &&
                           !process->attempt->is_over();
  switch (chance_.below(9)) {
    case 0:
    case 1:
      if (faults.kills && process != nullptr && !process->is_dead) {
        process->is_killed = process->is_stalled;
        kill(*process);
      }
      break;
    case 2:
      if (faults.power_cuts) {
        cut_power();
      }
      break;
    case 3:
      if (faults.zombies && process != nullptr && !process->is_stalled) {
        process->awake_ms = now_ms_ + chance_.between(1, 250);
        trace("pause", process->id, process->awake_ms - now_ms_);
        replace(*process, chance_.between(0, 20));
      }
      break;
    case 4:
      if (faults.clock_jumps && process != nullptr) {
        process->clock->jump(chance_.between(-3'600'000, 3'600'000));
      }
      break;
    case 5:
      if (faults.full_disk) {
        full_from_ms_ = now_ms_;
        full_until_ms_ = now_ms_ + chance_.between(10, 150);
      }
      break;
    case 6:
    case 7:
      if (schedule_.has_savepoints && has_attempt) {
        process->attempt->request_savepoint();
      }
      break;
    default:
      if (schedule_.has_stops && has_attempt) {
        process->attempt->request_stop();
      }
  }
}

void World::cut_power() {
  trace("power cut");
  for (const auto& process : processes_) {
    if (!process->is_dead) {
      process->is_killed = process->is_stalled;
      kill(*process);
    }
  }
  disk_.cut_power(chance_);
  check_published_files("after a power cut");
}

}  // namespace weir::simulator

namespace weir {

/// In the simulator a broken invariant of the code under test is a failed schedule, not the end of
/// the program.
void check_failed(const char* file, int line, const char* condition, std::string_view message) {
  throw simulator::Violation{"broken invariant at " + std::string(file) + ":" +
                             std::to_string(line) + ": " + condition +
                             (message.empty() ? "" : ": ") + std::string(message)};
}

}  // namespace weir
