// What settings mean together: contradictions and settings without effect.

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "base/configuration_registry.h"
#include "weir/config_options.h"
#include "weir/configuration.h"
#include "weir/memory_options.h"
#include "weir/rocksdb_options.h"

namespace weir {

DurationMs checkpoint_min_pause(const Configuration& configuration) {
  if (const auto pause = configuration.find(options::kCheckpointMinPause); pause.has_value()) {
    return *pause;
  }
  const auto interval = configuration.find(options::kCheckpointInterval);
  if (!interval.has_value() || configuration.get(options::kMaxConcurrentCheckpoints) > 1) {
    return DurationMs(0);
  }
  return *interval / 2;
}

RestartStrategyType restart_strategy_type(const Configuration& configuration) {
  if (const auto type = configuration.find(options::kRestartStrategy); type.has_value()) {
    return *type;
  }
  return configuration.is_set(options::kCheckpointInterval) ? RestartStrategyType::kExponentialDelay
                                                            : RestartStrategyType::kDisable;
}

namespace {

/// Collects what is wrong, one line each.
class Validator {
 public:
  explicit Validator(const Configuration& configuration) : configuration_(configuration) {}

  Status run() {
    check_each_value();
    if (problems_.empty()) {
      // Settings are read from here on, which needs values that can be read.
      check_checkpoints_are_on();
      check_checkpoint_times();
      check_checkpoint_storage();
      check_unaligned();
      check_restart_strategy();
      check_recovery();
      check_rocksdb();
      check_memory();
      check_rest();
    }
    check_availability();
    if (problems_.empty()) {
      return {};
    }
    std::string message = "the configuration cannot be used:";
    for (const std::string& problem : problems_) {
      message += "\n  " + problem;
    }
    return Error{ErrorCode::kInvalidArgument, message};
  }

 private:
  template <class T>
  std::string show(const ConfigOption<T>& option) const {
    return configuration_.describe(option.key);
  }
  void no_effect(std::string_view key, const std::string& why) {
    problems_.push_back(configuration_.describe(key) + " has no effect: " + why);
  }

  void check_each_value() {
    for (const auto& [key, value] : configuration_.values()) {
      const OptionInfo* const option = find_option(key);
      if (option == nullptr) {
        problems_.push_back("unknown key " + configuration_.describe(key) + "; did you mean '" +
                            std::string(nearest_key(key)) + "'?");
      } else if (const Status status = option->check_text(value.text); !status.ok()) {
        problems_.push_back(configuration_.describe(key) + ": " + status.error().message);
      }
    }
  }

  /// Last, so that a contradiction is named before the remark that one side of it is missing.
  void check_availability() {
    for (const auto& [key, value] : configuration_.values()) {
      const OptionInfo* const option = find_option(key);
      if (option != nullptr && !option->is_available && !option->is_default(value.text)) {
        problems_.push_back(configuration_.describe(key) + " is not available in this build yet");
      }
    }
  }

  void check_checkpoints_are_on() {
    if (configuration_.is_set(options::kCheckpointInterval)) {
      return;
    }
    // What also concerns savepoints (timeout, savepoint-dir, file sizes) is not in this list.
    constexpr std::array kKeys{options::kCheckpointMode.key,
                               options::kCheckpointMinPause.key,
                               options::kMaxConcurrentCheckpoints.key,
                               options::kTolerableFailedCheckpoints.key,
                               options::kCheckpointIntervalDuringBacklog.key,
                               options::kCheckpointRetention.key,
                               options::kRetainedCheckpoints.key,
                               options::kCheckpointDir.key,
                               options::kCheckpointStorage.key,
                               options::kCheckpointCreateSubdir.key,
                               options::kIncrementalCheckpoints.key,
                               options::kCheckpointCleanerParallel.key,
                               options::kCheckpointsAfterTasksFinish.key,
                               options::kLocalBackup.key,
                               options::kUnalignedCheckpoints.key,
                               options::kSourcesPauseUntilFirstCheckpoint.key,
                               options::kRecoveryPath.key};
    for (const std::string_view key : kKeys) {
      if (configuration_.is_set(key)) {
        no_effect(key, "checkpoints are off; set " + std::string(options::kCheckpointInterval.key));
      }
    }
  }

  void check_checkpoint_times() {
    const auto interval = configuration_.find(options::kCheckpointInterval);
    const auto pause = configuration_.find(options::kCheckpointMinPause);
    if (interval.has_value() && pause.has_value() && *pause > *interval) {
      problems_.push_back(show(options::kCheckpointMinPause) + " contradicts " +
                          show(options::kCheckpointInterval) +
                          ": a pause longer than the interval makes it the interval");
    }
    if (pause.has_value() && pause->count() > 0 &&
        configuration_.get(options::kMaxConcurrentCheckpoints) > 1) {
      problems_.push_back(show(options::kCheckpointMinPause) + " contradicts " +
                          show(options::kMaxConcurrentCheckpoints) +
                          ": with a pause between checkpoints there is never more than one");
    }
    const auto backlog = configuration_.find(options::kCheckpointIntervalDuringBacklog);
    if (backlog.has_value() && backlog->count() != 0 && interval.has_value() &&
        *backlog < *interval) {
      problems_.push_back(show(options::kCheckpointIntervalDuringBacklog) + " contradicts " +
                          show(options::kCheckpointInterval) + ": it must be 0 or not shorter");
    }
    if (backlog.has_value() && backlog->count() == 0 &&
        configuration_.get(options::kSourcesPauseUntilFirstCheckpoint)) {
      problems_.push_back(show(options::kSourcesPauseUntilFirstCheckpoint) + " contradicts " +
                          show(options::kCheckpointIntervalDuringBacklog) +
                          ": the sources would wait for ever");
    }
  }

  void check_checkpoint_storage() {
    const bool has_directory = configuration_.is_set(options::kCheckpointDir);
    const auto storage = configuration_.find(options::kCheckpointStorage);
    if (storage == CheckpointStorageType::kJobManager && has_directory) {
      problems_.push_back(show(options::kCheckpointStorage) + " contradicts " +
                          show(options::kCheckpointDir));
    }
    const bool is_in_memory = storage == CheckpointStorageType::kJobManager;
    if (configuration_.is_set(options::kCheckpointInterval) && !has_directory && !is_in_memory) {
      problems_.push_back(show(options::kCheckpointInterval) + " needs " +
                          std::string(options::kCheckpointDir.key));
    }
    if (configuration_.is_set(options::kCheckpointCreateSubdir) && is_in_memory) {
      no_effect(options::kCheckpointCreateSubdir.key, "checkpoints are kept in memory");
    }
    if (configuration_.is_set(options::kLocalBackupDirs) &&
        !configuration_.get(options::kLocalBackup)) {
      no_effect(options::kLocalBackupDirs.key, "local backup is off");
    }
  }

  void check_unaligned() {
    if (!configuration_.get(options::kUnalignedCheckpoints)) {
      const std::string why = std::string(options::kUnalignedCheckpoints.key) + " is not true";
      if (configuration_.is_set(options::kAlignedCheckpointTimeout)) {
        no_effect(options::kAlignedCheckpointTimeout.key, why);
      }
      if (configuration_.is_set(options::kUnalignedForced)) {
        no_effect(options::kUnalignedForced.key, why);
      }
      return;
    }
    if (configuration_.get(options::kCheckpointMode) == CheckpointingMode::kAtLeastOnce) {
      problems_.push_back(show(options::kUnalignedCheckpoints) + " contradicts " +
                          show(options::kCheckpointMode));
    }
    if (configuration_.get(options::kMaxConcurrentCheckpoints) != 1) {
      problems_.push_back(show(options::kUnalignedCheckpoints) + " contradicts " +
                          show(options::kMaxConcurrentCheckpoints) + ": it must be 1");
    }
  }

  void check_restart_strategy() {
    struct Family {
      RestartStrategyType type;
      std::string_view prefix;
    };
    constexpr std::array<Family, 3> kFamilies{
        {{RestartStrategyType::kFixedDelay, "restart-strategy.fixed-delay."},
         {RestartStrategyType::kExponentialDelay, "restart-strategy.exponential-delay."},
         {RestartStrategyType::kFailureRate, "restart-strategy.failure-rate."}}};
    const RestartStrategyType type = restart_strategy_type(configuration_);
    for (const auto& [key, value] : configuration_.values()) {
      for (const Family& family : kFamilies) {
        if (key.starts_with(family.prefix) && family.type != type) {
          no_effect(key, "the restart strategy is " + format_config_value(type) + "; set " +
                             std::string(options::kRestartStrategy.key));
        }
      }
    }
    if (configuration_.get(options::kExponentialInitialBackoff) >
        configuration_.get(options::kExponentialMaxBackoff)) {
      problems_.push_back(show(options::kExponentialInitialBackoff) + " contradicts " +
                          show(options::kExponentialMaxBackoff));
    }
  }

  void check_recovery() {
    if (configuration_.is_set(options::kRecoveryPath)) {
      return;
    }
    const std::string mend = "set " + std::string(options::kRecoveryPath.key);
    if (configuration_.is_set(options::kRecoveryClaimMode)) {
      no_effect(options::kRecoveryClaimMode.key, mend);
    }
    if (configuration_.is_set(options::kLaterResults)) {
      no_effect(options::kLaterResults.key, mend);
    }
    // With a checkpoint directory a job also starts from its own latest checkpoint.
    if (configuration_.is_set(options::kIgnoreUnclaimedState) &&
        !configuration_.is_set(options::kCheckpointDir)) {
      no_effect(options::kIgnoreUnclaimedState.key, mend);
    }
  }

  void check_rocksdb() {
    if (configuration_.get(options::kStateBackend) == StateBackendType::kRocksDb) {
      if (configuration_.get(options::kSnapshotCompression)) {
        no_effect(
            options::kSnapshotCompression.key,
            "RocksDB compresses its files by " + std::string(options::kRocksDbCompression.key));
      }
      if (configuration_.is_set(options::kRocksDbBloomBits) &&
          !configuration_.get(options::kRocksDbBloomFilter)) {
        no_effect(options::kRocksDbBloomBits.key,
                  std::string(options::kRocksDbBloomFilter.key) + " is not true");
      }
      if (configuration_.is_set(options::kRocksDbMetadataBlockSize) &&
          !configuration_.get(options::kRocksDbPartitionedMetadata)) {
        no_effect(options::kRocksDbMetadataBlockSize.key,
                  std::string(options::kRocksDbPartitionedMetadata.key) + " is not true");
      }
      if (configuration_.get(options::kRocksDbCompactionStyle) != RocksDbCompactionStyle::kLevel) {
        for (const std::string_view key :
             {options::kRocksDbDynamicLevels.key, options::kRocksDbTargetFileSize.key,
              options::kRocksDbLevelBaseSize.key}) {
          if (configuration_.values().contains(key)) {
            no_effect(key, std::string(options::kRocksDbCompactionStyle.key) + " is not LEVEL");
          }
        }
      }
      return;
    }
    for (const auto& [key, value] : configuration_.values()) {
      if (key.starts_with(options::kRocksDbPrefix)) {
        no_effect(key, "set " + std::string(options::kStateBackend.key) + " to rocksdb");
      }
    }
  }

  void check_memory() {
    if (configuration_.get(options::kNetworkMemoryMin).value >
        configuration_.get(options::kNetworkMemoryMax).value) {
      problems_.push_back(show(options::kNetworkMemoryMin) + " contradicts " +
                          show(options::kNetworkMemoryMax));
    }
  }

  void check_rest() {
    if (configuration_.get(options::kParallelism) > configuration_.get(options::kMaxParallelism)) {
      problems_.push_back(show(options::kParallelism) + " contradicts " +
                          show(options::kMaxParallelism));
    }
    if (configuration_.get(options::kHeartbeatTimeout) <=
        configuration_.get(options::kHeartbeatInterval)) {
      problems_.push_back(show(options::kHeartbeatTimeout) + " contradicts " +
                          show(options::kHeartbeatInterval) + ": it must be longer");
    }
  }

  const Configuration& configuration_;
  std::vector<std::string> problems_;
};

}  // namespace

Status validate(const Configuration& configuration) { return Validator(configuration).run(); }

}  // namespace weir
