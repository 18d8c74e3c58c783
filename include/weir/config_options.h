#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "weir/configuration.h"
#include "weir/key_group.h"

namespace weir {

enum class CheckpointingMode { kExactlyOnce, kAtLeastOnce };
template <>
struct ConfigEnum<CheckpointingMode> {
  static constexpr std::array<std::pair<std::string_view, CheckpointingMode>, 2> kNames{
      {{"EXACTLY_ONCE", CheckpointingMode::kExactlyOnce},
       {"AT_LEAST_ONCE", CheckpointingMode::kAtLeastOnce}}};
};

/// What becomes of the retained checkpoints when a job ends other than FINISHED.
enum class CheckpointRetention {
  kNoExternalizedCheckpoints,
  kDeleteOnCancellation,
  kRetainOnCancellation
};
template <>
struct ConfigEnum<CheckpointRetention> {
  static constexpr std::array<std::pair<std::string_view, CheckpointRetention>, 3> kNames{
      {{"NO_EXTERNALIZED_CHECKPOINTS", CheckpointRetention::kNoExternalizedCheckpoints},
       {"DELETE_ON_CANCELLATION", CheckpointRetention::kDeleteOnCancellation},
       {"RETAIN_ON_CANCELLATION", CheckpointRetention::kRetainOnCancellation}}};
};

enum class CheckpointStorageType { kJobManager, kFileSystem };
template <>
struct ConfigEnum<CheckpointStorageType> {
  static constexpr std::array<std::pair<std::string_view, CheckpointStorageType>, 2> kNames{
      {{"jobmanager", CheckpointStorageType::kJobManager},
       {"filesystem", CheckpointStorageType::kFileSystem}}};
};

/// Who owns the snapshot a job starts from. Flink's LEGACY is refused.
enum class ClaimMode { kNoClaim, kClaim };
template <>
struct ConfigEnum<ClaimMode> {
  static constexpr std::array<std::pair<std::string_view, ClaimMode>, 2> kNames{
      {{"NO_CLAIM", ClaimMode::kNoClaim}, {"CLAIM", ClaimMode::kClaim}}};
};

/// What a start from a chosen snapshot does with results that sinks committed after it.
enum class LaterResults { kRefuse, kKeep };
template <>
struct ConfigEnum<LaterResults> {
  static constexpr std::array<std::pair<std::string_view, LaterResults>, 2> kNames{
      {{"REFUSE", LaterResults::kRefuse}, {"KEEP", LaterResults::kKeep}}};
};

enum class RestartStrategyType { kDisable, kFixedDelay, kExponentialDelay, kFailureRate };
template <>
struct ConfigEnum<RestartStrategyType> {
  static constexpr std::array<std::pair<std::string_view, RestartStrategyType>, 9> kNames{
      {{"disable", RestartStrategyType::kDisable},
       {"none", RestartStrategyType::kDisable},
       {"off", RestartStrategyType::kDisable},
       {"fixed-delay", RestartStrategyType::kFixedDelay},
       {"fixeddelay", RestartStrategyType::kFixedDelay},
       {"exponential-delay", RestartStrategyType::kExponentialDelay},
       {"exponentialdelay", RestartStrategyType::kExponentialDelay},
       {"failure-rate", RestartStrategyType::kFailureRate},
       {"failurerate", RestartStrategyType::kFailureRate}}};
};

enum class FailoverStrategy { kRegion, kFull };
template <>
struct ConfigEnum<FailoverStrategy> {
  static constexpr std::array<std::pair<std::string_view, FailoverStrategy>, 2> kNames{
      {{"region", FailoverStrategy::kRegion}, {"full", FailoverStrategy::kFull}}};
};

enum class StateBackendType { kHashMap, kRocksDb };
template <>
struct ConfigEnum<StateBackendType> {
  static constexpr std::array<std::pair<std::string_view, StateBackendType>, 2> kNames{
      {{"hashmap", StateBackendType::kHashMap}, {"rocksdb", StateBackendType::kRocksDb}}};
};

namespace detail {

inline constexpr std::int64_t kYearMs = 365LL * 24 * 3600 * 1000;
inline constexpr std::int64_t kNoLimit = std::numeric_limits<std::int64_t>::max();

/// Fails unless min <= value <= max; `unit` is put behind the numbers of the message.
Status check_range(std::int64_t value, std::int64_t min, std::int64_t max, std::string_view unit);
Status check_range(double value, double min, double max);

template <std::int64_t kMin, std::int64_t kMax = kNoLimit>
Status duration_in(const DurationMs& value) {
  return check_range(value.count(), kMin, kMax, " ms");
}
template <std::int64_t kMin, std::int64_t kMax = kNoLimit>
Status size_in(const SizeBytes& value) {
  return check_range(value.value, kMin, kMax, " bytes");
}
/// 0 to 1.
Status fraction(const double& value);
template <std::int64_t kMin, std::int64_t kMax = kNoLimit, class T>
Status number_in(const T& value) {
  return check_range(static_cast<std::int64_t>(value), kMin, kMax, "");
}
Status backoff_multiplier(const double& value);
Status jitter_factor(const double& value);
Status not_empty(const std::string& value);
Status location(const std::string& value);
Status job_id(const std::string& value);

}  // namespace detail

/// All configuration keys of weir. The generated table is docs/guide/configuration.md. Where a
/// default differs from Flink's, the description says so.
namespace options {

// --- Checkpoints -------------------------------------------------------------------------------

inline constexpr ConfigOption<DurationMs> kCheckpointInterval{
    "execution.checkpointing.interval", "",
    "Time from the start of one periodic checkpoint to the start of the next. Not set: no "
    "checkpoints.",
    detail::duration_in<10>};
inline constexpr ConfigOption<CheckpointingMode> kCheckpointMode{
    "execution.checkpointing.mode", "EXACTLY_ONCE",
    "AT_LEAST_ONCE counts barriers without holding back any input; after a failure records may "
    "take effect twice."};
inline constexpr ConfigOption<DurationMs> kCheckpointTimeout{
    "execution.checkpointing.timeout", "10 min", "A checkpoint not complete after this is aborted.",
    detail::duration_in<10>};
inline constexpr ConfigOption<DurationMs> kCheckpointMinPause{
    "execution.checkpointing.min-pause", "",
    "Least time from the end of one checkpoint to the start of the next periodic one. Default: "
    "half the interval (Flink: 0), or 0 with more than one concurrent checkpoint.",
    detail::duration_in<0, detail::kYearMs>};
inline constexpr ConfigOption<int> kMaxConcurrentCheckpoints{
    "execution.checkpointing.max-concurrent-checkpoints", "1",
    "Checkpoints that may be under way at once. More than 1 excludes a min-pause.",
    detail::number_in<1, detail::kNoLimit, int>};
inline constexpr ConfigOption<int> kTolerableFailedCheckpoints{
    "execution.checkpointing.tolerable-failed-checkpoints", "0",
    "Consecutive failed checkpoints before the job fails over; 2147483647 = never. The age of the "
    "last completed checkpoint is limited too, to (this + 1) x (interval + timeout).",
    detail::number_in<0, detail::kNoLimit, int>};
inline constexpr ConfigOption<DurationMs> kCheckpointIntervalDuringBacklog{
    "execution.checkpointing.interval-during-backlog", "",
    "The interval while a source works off a backlog; 0 = no periodic checkpoints then.",
    detail::duration_in<0>};
inline constexpr ConfigOption<CheckpointRetention> kCheckpointRetention{
    "execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION",
    "What becomes of the retained checkpoints when the job fails or is cancelled. "
    "DELETE_ON_CANCELLATION keeps them on failure only, NO_EXTERNALIZED_CHECKPOINTS (Flink's "
    "default) never. Where any mode is set, a job that ends FINISHED deletes them. A suspended job "
    "keeps them always.",
    nullptr};
inline constexpr ConfigOption<int> kRetainedCheckpoints{
    "execution.checkpointing.num-retained", "1", "Completed checkpoints that are kept.",
    detail::number_in<1, detail::kNoLimit, int>};
inline constexpr ConfigOption<std::string> kCheckpointDir{
    "execution.checkpointing.dir", "",
    "Directory for checkpoints: a path, or its URI (file:///data).", detail::location};
inline constexpr ConfigOption<std::string> kSavepointDir{
    "execution.checkpointing.savepoint-dir", "", "Directory for savepoints that name none.",
    detail::location};
inline constexpr ConfigOption<CheckpointStorageType> kCheckpointStorage{
    "execution.checkpointing.storage", "filesystem",
    "Where checkpoints go. jobmanager keeps them in memory, lost with the process. (Flink's "
    "default "
    "without a dir is jobmanager.)",
    nullptr, false};
inline constexpr ConfigOption<bool> kCheckpointCreateSubdir{
    "execution.checkpointing.create-subdir", "true",
    "Put checkpoints into <dir>/<job id>/. With false the user keeps one job per directory."};
inline constexpr ConfigOption<bool> kIncrementalCheckpoints{
    "execution.checkpointing.incremental", "false", "Write only what changed.", nullptr};
inline constexpr ConfigOption<SizeBytes> kCheckpointInlineThreshold{
    "execution.checkpointing.data-inline-threshold", "20 kb",
    "State smaller than this lives inside the manifest.", detail::size_in<0, 1024 * 1024>, false};
inline constexpr ConfigOption<SizeBytes> kCheckpointWriteBuffer{
    "execution.checkpointing.write-buffer-size", "4096 b",
    "Buffer of checkpoint files; raised to the inline threshold if smaller.",
    detail::size_in<1, 1024 * 1024 * 1024>, false};
inline constexpr ConfigOption<bool> kSnapshotCompression{
    "execution.checkpointing.snapshot-compression", "false",
    "Compress the state files of checkpoints of heap state (Zstandard). Savepoints are not."};
inline constexpr ConfigOption<bool> kCheckpointCleanerParallel{
    "execution.checkpointing.cleaner.parallel-mode", "true",
    "Delete the files of old checkpoints in parallel.", nullptr, false};
inline constexpr ConfigOption<bool> kCheckpointsAfterTasksFinish{
    "execution.checkpointing.checkpoints-after-tasks-finish", "true",
    "Go on with checkpoints when a part of the job has finished. With false there is no periodic "
    "checkpoint from then on to the final one.",
    nullptr};
inline constexpr ConfigOption<bool> kLocalBackup{"execution.checkpointing.local-backup.enabled",
                                                 "false", "Keep a second, local copy of state.",
                                                 nullptr, false};
inline constexpr ConfigOption<std::string> kLocalBackupDirs{
    "execution.checkpointing.local-backup.dirs", "", "Directories of the local copies.",
    detail::not_empty, false};
inline constexpr ConfigOption<bool> kUnalignedCheckpoints{
    "execution.checkpointing.unaligned.enabled", "false",
    "Barriers may overtake records, which are then stored."};
inline constexpr ConfigOption<DurationMs> kAlignedCheckpointTimeout{
    "execution.checkpointing.aligned-checkpoint-timeout", "0 ms",
    "With unaligned checkpoints: start aligned and turn unaligned after this.",
    detail::duration_in<0>};
inline constexpr ConfigOption<bool> kUnalignedForced{
    "execution.checkpointing.unaligned.forced", "false",
    "Allow unaligned checkpoints with custom partitioners.", nullptr, false};

// --- Recovery ----------------------------------------------------------------------------------

inline constexpr ConfigOption<std::string> kRecoveryPath{
    "execution.state-recovery.path", "",
    "Snapshot to start from: its directory or its _metadata file.", detail::location};
inline constexpr ConfigOption<ClaimMode> kRecoveryClaimMode{
    "execution.state-recovery.claim-mode", "NO_CLAIM",
    "CLAIM: the snapshot belongs to the job from now on, which deletes it when it is subsumed.",
    nullptr};
inline constexpr ConfigOption<bool> kIgnoreUnclaimedState{
    "execution.state-recovery.ignore-unclaimed-state", "false",
    "Start although the snapshot holds state that no operator of the job claims; it is dropped."};
inline constexpr ConfigOption<std::string> kUidMapping{
    "weir.state-recovery.uid-mapping", "",
    "Operators that were renamed since the snapshot: old=new,old=new. Their state goes to the new "
    "uid.",
    detail::not_empty};
inline constexpr ConfigOption<bool> kRecoveryFromLocal{
    "execution.state-recovery.from-local", "false", "Restore from local copies where they exist.",
    nullptr, false};
inline constexpr ConfigOption<std::int64_t> kRecoveryWithoutChannelState{
    "execution.state-recovery.without-channel-state.checkpoint-id", "-1",
    "Last resort: ignore the in-flight records of this checkpoint, which are then lost.",
    detail::number_in<-1, detail::kNoLimit, std::int64_t>, false};
inline constexpr ConfigOption<RestartStrategyType> kRestartStrategy{
    "restart-strategy.type", "",
    "disable, fixed-delay, exponential-delay or failure-rate. Default: exponential-delay with "
    "checkpoints, disable without."};
inline constexpr ConfigOption<DurationMs> kExponentialInitialBackoff{
    "restart-strategy.exponential-delay.initial-backoff", "1 s", "Delay of the first restart.",
    detail::duration_in<1>};
inline constexpr ConfigOption<DurationMs> kExponentialMaxBackoff{
    "restart-strategy.exponential-delay.max-backoff", "1 min", "Greatest delay of a restart.",
    detail::duration_in<1>};
inline constexpr ConfigOption<double> kExponentialMultiplier{
    "restart-strategy.exponential-delay.backoff-multiplier", "1.5",
    "Factor from one delay to the next.", detail::backoff_multiplier};
inline constexpr ConfigOption<double> kExponentialJitter{
    "restart-strategy.exponential-delay.jitter-factor", "0.1",
    "Random part of a delay, up and down, as a share of it.", detail::jitter_factor};
inline constexpr ConfigOption<DurationMs> kExponentialResetThreshold{
    "restart-strategy.exponential-delay.reset-backoff-threshold", "1 h",
    "After running this long without a failure the delay starts anew.", detail::duration_in<1>};
inline constexpr ConfigOption<int> kExponentialAttempts{
    "restart-strategy.exponential-delay.attempts-before-reset-backoff", "2147483647",
    "Restarts in a row before the job is given up; 2147483647 = never.",
    detail::number_in<1, detail::kNoLimit, int>};
inline constexpr ConfigOption<int> kFixedDelayAttempts{"restart-strategy.fixed-delay.attempts", "1",
                                                       "Restarts before the job is given up.",
                                                       detail::number_in<0, detail::kNoLimit, int>};
inline constexpr ConfigOption<DurationMs> kFixedDelay{
    "restart-strategy.fixed-delay.delay", "1 s", "Delay of each restart.", detail::duration_in<0>};
inline constexpr ConfigOption<int> kFailureRateMax{
    "restart-strategy.failure-rate.max-failures-per-interval", "1",
    "Failures within the interval that are answered with a restart.",
    detail::number_in<1, 1'000'000, int>};
inline constexpr ConfigOption<DurationMs> kFailureRateInterval{
    "restart-strategy.failure-rate.failure-rate-interval", "1 min", "Length of the interval.",
    detail::duration_in<1>};
inline constexpr ConfigOption<DurationMs> kFailureRateDelay{
    "restart-strategy.failure-rate.delay", "1 s", "Delay of each restart.", detail::duration_in<0>};
inline constexpr ConfigOption<FailoverStrategy> kFailoverStrategy{
    "jobmanager.execution.failover-strategy", "region",
    "region restarts what is connected to the failed task, full restarts everything.", nullptr,
    false};
inline constexpr ConfigOption<DurationMs> kHeartbeatInterval{
    "heartbeat.interval", "10 s", "Time between two heartbeats.", detail::duration_in<1>, false};
inline constexpr ConfigOption<DurationMs> kHeartbeatTimeout{
    "heartbeat.timeout", "50 s", "Silence after which the other side is taken for dead.",
    detail::duration_in<1>, false};
inline constexpr ConfigOption<int> kHeartbeatRpcFailures{
    "heartbeat.rpc-failure-threshold", "2", "Failed calls in a row that mean the same.",
    detail::number_in<-1, detail::kNoLimit, int>, false};
inline constexpr ConfigOption<int> kCommitterRetries{
    "sink.committer.retries", "10",
    "Retries of one commit, with growing pauses, before the job fails over.",
    detail::number_in<0, detail::kNoLimit, int>};

// --- Pipeline and runtime ----------------------------------------------------------------------

inline constexpr ConfigOption<int> kParallelism{
    "parallelism.default", "1", "Subtasks of an operator that says nothing else.",
    detail::number_in<1, kUpperBoundMaxParallelism, int>};
inline constexpr ConfigOption<int> kMaxParallelism{
    "pipeline.max-parallelism", "128",
    "Number of key groups: the greatest parallelism the job can ever be rescaled to. Recorded in "
    "every snapshot. (Flink derives it from the parallelism.)",
    detail::number_in<1, kUpperBoundMaxParallelism, int>};
inline constexpr ConfigOption<std::string> kPipelineName{
    "pipeline.name", "", "Name of the job, for people.", detail::not_empty};
inline constexpr ConfigOption<bool> kAutoGenerateUids{
    "pipeline.auto-generate-uids", "true",
    "Give operators without a uid one that is derived from the pipeline's shape."};
inline constexpr ConfigOption<DurationMs> kAutoWatermarkInterval{
    "pipeline.auto-watermark-interval", "200 ms", "Period of watermarks; 0 = none.",
    detail::duration_in<0>};
inline constexpr ConfigOption<bool> kSourcesPauseUntilFirstCheckpoint{
    "pipeline.sources.pause-until-first-checkpoint", "false",
    "Sources read nothing until the first checkpoint starts.", nullptr};
inline constexpr ConfigOption<DurationMs> kBufferTimeout{
    "execution.buffer-timeout.interval", "100 ms", "Longest wait of a part-filled batch.",
    detail::duration_in<0>};
inline constexpr ConfigOption<StateBackendType> kStateBackend{
    "state.backend.type", "hashmap",
    "Where keyed state lives: hashmap in memory, rocksdb also on local disks.", nullptr};
inline constexpr ConfigOption<DurationMs> kRestAsyncStoreDuration{
    "rest.async.store-duration", "5 min",
    "How long the outcome of a finished trigger can be asked for.", detail::duration_in<0>, false};

// --- weir's own --------------------------------------------------------------------------------

inline constexpr ConfigOption<int> kWorkers{"weir.workers", "0",
                                            "Threads that run tasks; 0 = one per processor core.",
                                            detail::number_in<0, 4096, int>};
inline constexpr ConfigOption<int> kIoThreads{
    "weir.io-threads", "4", "Threads for what blocks: uploads, syncs and commits.",
    detail::number_in<1, 4096, int>};
inline constexpr ConfigOption<std::string> kJobId{
    "weir.job-id", "",
    "Stable identity of the job: names its checkpoints and proves its commits. Up to 64 letters, "
    "digits, '.', '_' and '-'. Default: derived from pipeline.name.",
    detail::job_id};
inline constexpr ConfigOption<std::string> kControlSocket{
    "weir.control.socket", "",
    "Unix socket by which the weir tool talks to the job, at most 107 bytes; off = none. Default: "
    "control.sock in the job's checkpoint directory, none without checkpoints.",
    detail::not_empty};
inline constexpr ConfigOption<LaterResults> kLaterResults{
    "weir.state-recovery.later-results", "REFUSE",
    "When an exactly-once sink holds results that are later than the snapshot to start from, going "
    "on brings them twice. REFUSE: do not start. KEEP: start all the same."};

}  // namespace options

/// execution.checkpointing.min-pause with its default, which depends on other settings.
DurationMs checkpoint_min_pause(const Configuration& configuration);
/// restart-strategy.type with its default, which depends on whether checkpoints are on.
RestartStrategyType restart_strategy_type(const Configuration& configuration);

}  // namespace weir
