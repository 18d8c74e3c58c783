#include "runtime/job_options.h"

#include <algorithm>
#include <thread>

#include <fmt/format.h>

#include "base/local_path.h"
#include "weir/config_options.h"
#include "weir/key_hash.h"
#include "weir/rocksdb_options.h"

namespace weir::runtime {
namespace {

/// Empty where the option is not set.
std::string path_of(const Configuration& configuration, const ConfigOption<std::string>& option) {
  // The check of the option has seen to it that it is one.
  return local_path(configuration.find(option).value_or("")).value();
}

Status read_checkpoint_options(const Configuration& configuration, JobOptions& job) {
  using namespace options;
  if (!configuration.is_set(kCheckpointDir)) {
    return Error{ErrorCode::kInvalidArgument,
                 "execution.checkpointing.interval is set but execution.checkpointing.dir is not: "
                 "name a directory for the checkpoints"};
  }
  const DurationMs timeout = configuration.get(kCheckpointTimeout);
  job.coordinator.interval_ms = configuration.get(kCheckpointInterval).count();
  job.coordinator.min_pause_ms = checkpoint_min_pause(configuration).count();
  job.coordinator.timeout_ms = timeout.count();
  job.coordinator.max_concurrent = configuration.get(kMaxConcurrentCheckpoints);
  job.coordinator.tolerable_failed = configuration.get(kTolerableFailedCheckpoints);
  if (const auto backlog = configuration.find(kCheckpointIntervalDuringBacklog)) {
    job.coordinator.interval_during_backlog_ms = backlog->count();
  }
  job.retention = configuration.get(kCheckpointRetention);
  job.is_retention_set = configuration.is_set(kCheckpointRetention);
  job.are_checkpoints_taken_after_finish = configuration.get(kCheckpointsAfterTasksFinish);
  job.are_sources_paused_at_start = configuration.get(kSourcesPauseUntilFirstCheckpoint);
  job.alignment = configuration.get(kCheckpointMode) == CheckpointingMode::kExactlyOnce
                      ? checkpoint::AlignmentMode::kExactlyOnce
                      : checkpoint::AlignmentMode::kAtLeastOnce;
  job.is_unaligned = configuration.get(kUnalignedCheckpoints);
  job.is_incremental = configuration.get(kIncrementalCheckpoints);
  job.are_snapshots_compressed = configuration.get(kSnapshotCompression);
  job.aligned_timeout = configuration.get(kAlignedCheckpointTimeout);
  job.store.directory = path_of(configuration, kCheckpointDir);
  job.savepoint_directory = path_of(configuration, kSavepointDir);
  job.store.job_id = job.job_id;
  job.store.pipeline_id = job.pipeline_id;
  job.store.has_subdirectory = configuration.get(kCheckpointCreateSubdir);
  job.garbage.num_retained = configuration.get(kRetainedCheckpoints);
  // A file may be as old as the timeout before its manifest names it.
  constexpr std::int64_t kGraceMinMs = 60'000;
  job.garbage.grace_ms = std::max<std::int64_t>(3 * timeout.count(), kGraceMinMs);
  job.is_checkpointing_enabled = true;
  return {};
}

state::RocksDbSettings rocksdb_settings_of(const Configuration& configuration) {
  using namespace options;
  using Settings = state::RocksDbSettings;
  Settings settings;
  for (const std::string& location :
       detail::split_locations(configuration.find(kRocksDbLocalDir).value_or(""))) {
    settings.more_local_directories.push_back(local_path(location).value());
  }
  if (!settings.more_local_directories.empty()) {
    settings.local_directory = settings.more_local_directories.front();
    settings.more_local_directories.erase(settings.more_local_directories.begin());
  }
  settings.memory_bytes = static_cast<std::uint64_t>(configuration.get(kRocksDbMemory).value);
  settings.write_buffer_ratio = configuration.get(kRocksDbWriteBufferRatio);
  settings.high_priority_ratio = configuration.get(kRocksDbHighPriorityRatio);
  settings.has_partitioned_metadata = configuration.get(kRocksDbPartitionedMetadata);
  settings.block_bytes = static_cast<std::uint64_t>(configuration.get(kRocksDbBlockSize).value);
  settings.metadata_block_bytes =
      static_cast<std::uint64_t>(configuration.get(kRocksDbMetadataBlockSize).value);
  settings.write_buffer_bytes =
      static_cast<std::uint64_t>(configuration.get(kRocksDbWriteBufferSize).value);
  settings.background_threads = configuration.get(kRocksDbThreads);
  settings.transfer_threads = configuration.get(kRocksDbTransferThreads);
  // The enumerators are the same, in the same order.
  settings.compaction_style =
      static_cast<Settings::CompactionStyle>(configuration.get(kRocksDbCompactionStyle));
  settings.has_dynamic_levels = configuration.get(kRocksDbDynamicLevels);
  settings.target_file_bytes =
      static_cast<std::uint64_t>(configuration.get(kRocksDbTargetFileSize).value);
  settings.level_base_bytes =
      static_cast<std::uint64_t>(configuration.get(kRocksDbLevelBaseSize).value);
  settings.has_bloom_filter = configuration.get(kRocksDbBloomFilter);
  settings.bloom_bits_per_key = configuration.get(kRocksDbBloomBits);
  settings.files_open = configuration.get(kRocksDbOpenFiles);
  settings.log_level = static_cast<Settings::LogLevel>(configuration.get(kRocksDbLogLevel));
  settings.log_directory = path_of(configuration, kRocksDbLogDir);
  settings.log_file_bytes =
      static_cast<std::uint64_t>(configuration.get(kRocksDbLogFileSize).value);
  settings.log_files = configuration.get(kRocksDbLogFiles);
  settings.compression_per_level.clear();
  const std::string compressions = configuration.get(kRocksDbCompression);
  for (std::size_t begin = 0; begin < compressions.size();) {
    const std::size_t end = std::min(compressions.find(';', begin), compressions.size());
    std::string name = compressions.substr(begin, end - begin);
    std::erase(name, ' ');
    const auto compression = detail::find_rocksdb_compression(name);
    WEIR_CHECK(compression.has_value());  // validate() has seen it
    settings.compression_per_level.push_back(static_cast<Settings::Compression>(*compression));
    begin = end + 1;
  }
  settings.are_timers_in_store = configuration.get(kRocksDbTimers) == RocksDbTimerService::kRocksDb;
  return settings;
}

}  // namespace

std::string job_id_of(const std::string& pipeline_id) {
  if (checkpoint::is_job_id(pipeline_id)) {
    return pipeline_id;
  }
  std::string id;
  for (const char salt : {'a', 'b', 'c', 'd'}) {
    const std::string salted = pipeline_id + salt;
    id += fmt::format("{:08x}", hash_key_bytes(salted.data(), salted.size()));
  }
  return id;
}

Result<JobOptions> job_options_of(const Configuration& configuration, const std::string& job_name) {
  using namespace options;
  JobOptions job;
  job.job_name = configuration.find(kPipelineName).value_or(job_name);
  job.pipeline_id = configuration.find(kJobId).value_or(job.job_name);
  job.job_id = job_id_of(job.pipeline_id);
  job.control_socket = configuration.find(kControlSocket).value_or("");
  const int workers = configuration.get(kWorkers);
  job.workers =
      workers > 0 ? workers : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  job.io_threads = configuration.get(kIoThreads);
  job.auto_watermark_interval = configuration.get(kAutoWatermarkInterval);
  job.buffer_timeout = configuration.get(kBufferTimeout);
  job.max_parallelism = configuration.get(kMaxParallelism);
  job.is_max_parallelism_explicit = configuration.is_set(kMaxParallelism);
  job.recovery_path = path_of(configuration, kRecoveryPath);
  job.is_unclaimed_state_ignored = configuration.get(kIgnoreUnclaimedState);
  job.commit_retries = configuration.get(kCommitterRetries);
  WEIR_ASSIGN(job.uid_mapping,
              checkpoint::parse_uid_mapping(configuration.find(kUidMapping).value_or("")));
  job.is_snapshot_claimed = configuration.get(kRecoveryClaimMode) == ClaimMode::kClaim;
  job.are_later_results_kept = configuration.get(kLaterResults) == LaterResults::kKeep;
  if (configuration.get(kStateBackend) == StateBackendType::kRocksDb) {
    job.rocksdb = rocksdb_settings_of(configuration);
  }
  WEIR_ASSIGN(job.memory, memory_settings_of(configuration));
  if (configuration.is_set(kCheckpointInterval)) {
    WEIR_TRY(read_checkpoint_options(configuration, job));
  }
  return job;
}

SinkContext sink_context_of(const JobOptions& options, AttemptId attempt, CheckpointFiles* files) {
  SinkContext context;
  context.pipeline_id = options.pipeline_id;
  context.attempt = attempt;
  context.incarnation = options.incarnation;
  context.lineage = options.lineage;
  context.is_checkpointing_enabled = options.is_checkpointing_enabled;
  context.checkpoint_interval = DurationMs(options.coordinator.interval_ms);
  context.checkpoint_timeout = DurationMs(options.coordinator.timeout_ms);
  context.max_concurrent_checkpoints = options.coordinator.max_concurrent;
  context.files = files;
  return context;
}

}  // namespace weir::runtime
