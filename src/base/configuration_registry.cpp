#include "base/configuration_registry.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "weir/config_options.h"
#include "weir/configuration.h"
#include "weir/memory_options.h"
#include "weir/rocksdb_options.h"

namespace weir {
namespace {

template <class T>
std::string_view type_name() {
  if constexpr (std::is_same_v<T, bool>) {
    return "boolean";
  } else if constexpr (std::is_same_v<T, double>) {
    return "number";
  } else if constexpr (std::is_same_v<T, std::string>) {
    return "text";
  } else if constexpr (std::is_same_v<T, DurationMs>) {
    return "duration";
  } else if constexpr (std::is_same_v<T, SizeBytes>) {
    return "size";
  } else if constexpr (std::is_enum_v<T>) {
    static const std::string names = [] {
      std::string text;
      std::vector<T> seen;
      for (const auto& [name, enumerator] : ConfigEnum<T>::kNames) {
        if (std::find(seen.begin(), seen.end(), enumerator) == seen.end()) {
          seen.push_back(enumerator);
          text += (text.empty() ? "" : ", ") + std::string(name);
        }
      }
      return text;
    }();
    return names;
  } else {
    return "integer";
  }
}

template <class T, const ConfigOption<T>& kOption>
OptionInfo info() {
  OptionInfo result{kOption.key, type_name<T>(), kOption.default_text, kOption.description,
                    kOption.is_available};
  result.check_text = [](std::string_view text) -> Status {
    WEIR_ASSIGN(const T value, parse_config_value<T>(text));
    return kOption.check == nullptr ? Status() : kOption.check(value);
  };
  result.is_default = [](std::string_view text) {
    if (kOption.default_text.empty()) {
      return false;
    }
    const auto value = parse_config_value<T>(text);
    return value.ok() && value.value() == parse_config_value<T>(kOption.default_text).value();
  };
  return result;
}

template <class T>
T value_type_of(const ConfigOption<T>&);

template <const auto&... kOptions>
std::vector<OptionInfo> infos() {
  return {info<decltype(value_type_of(kOptions)), kOptions>()...};
}

const std::vector<OptionInfo>& all_options() {
  using namespace options;
  static const std::vector<OptionInfo> list = infos<
      kCheckpointInterval, kCheckpointMode, kCheckpointTimeout, kCheckpointMinPause,
      kMaxConcurrentCheckpoints, kTolerableFailedCheckpoints, kCheckpointIntervalDuringBacklog,
      kCheckpointRetention, kRetainedCheckpoints, kCheckpointDir, kSavepointDir, kCheckpointStorage,
      kCheckpointCreateSubdir, kIncrementalCheckpoints, kCheckpointInlineThreshold,
      kCheckpointWriteBuffer, kSnapshotCompression, kCheckpointCleanerParallel,
      kCheckpointsAfterTasksFinish, kLocalBackup, kLocalBackupDirs, kUnalignedCheckpoints,
      kAlignedCheckpointTimeout, kUnalignedForced, kRecoveryPath, kRecoveryClaimMode,
      kIgnoreUnclaimedState, kUidMapping, kRecoveryFromLocal, kRecoveryWithoutChannelState,
      kRestartStrategy, kExponentialInitialBackoff, kExponentialMaxBackoff, kExponentialMultiplier,
      kExponentialJitter, kExponentialResetThreshold, kExponentialAttempts, kFixedDelayAttempts,
      kFixedDelay, kFailureRateMax, kFailureRateInterval, kFailureRateDelay, kFailoverStrategy,
      kHeartbeatInterval, kHeartbeatTimeout, kHeartbeatRpcFailures, kCommitterRetries, kParallelism,
      kMaxParallelism, kPipelineName, kAutoGenerateUids, kAutoWatermarkInterval,
      kSourcesPauseUntilFirstCheckpoint, kBufferTimeout, kStateBackend, kRocksDbLocalDir,
      kRocksDbMemory, kRocksDbMemoryManaged, kRocksDbMemoryPerSlot, kRocksDbWriteBufferRatio,
      kRocksDbHighPriorityRatio, kRocksDbPartitionedMetadata, kRocksDbBlockSize,
      kRocksDbMetadataBlockSize, kRocksDbWriteBufferSize, kRocksDbWriteBufferCount, kRocksDbThreads,
      kRocksDbTransferThreads, kRocksDbCompactionStyle, kRocksDbDynamicLevels,
      kRocksDbTargetFileSize, kRocksDbLevelBaseSize, kRocksDbBloomFilter, kRocksDbBloomBits,
      kRocksDbOpenFiles, kRocksDbLogLevel, kRocksDbLogDir, kRocksDbLogFileSize, kRocksDbLogFiles,
      kRocksDbCompression, kRocksDbTimers, kProcessMemory, kNetworkMemoryFraction,
      kNetworkMemoryMin, kNetworkMemoryMax, kConnectorMemoryFraction, kRestAsyncStoreDuration,
      kWorkers, kIoThreads, kJobId, kControlSocket, kLaterResults>();
  return list;
}

/// Old spellings of Flink and the key each became.
constexpr std::array<std::pair<std::string_view, std::string_view>, 13> kOldSpellings{{
    {"state.checkpoints.dir", "execution.checkpointing.dir"},
    {"state.backend.fs.checkpointdir", "execution.checkpointing.dir"},
    {"state.savepoints.dir", "execution.checkpointing.savepoint-dir"},
    {"state.checkpoint-storage", "execution.checkpointing.storage"},
    {"state.checkpoints.num-retained", "execution.checkpointing.num-retained"},
    {"state.checkpoints.create-subdir", "execution.checkpointing.create-subdir"},
    {"state.backend.incremental", "execution.checkpointing.incremental"},
    {"state.storage.fs.memory-threshold", "execution.checkpointing.data-inline-threshold"},
    {"state.checkpoint.cleaner.parallel-mode", "execution.checkpointing.cleaner.parallel-mode"},
    {"taskmanager.state.local.root-dirs", "execution.checkpointing.local-backup.dirs"},
    {"execution.checkpointing.unaligned", "execution.checkpointing.unaligned.enabled"},
    {"execution.checkpointing.alignment-timeout",
     "execution.checkpointing.aligned-checkpoint-timeout"},
    {"state.backend", "state.backend.type"},
}};

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) {
    row[j] = j;
  }
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

std::span<const OptionInfo> registered_options() { return all_options(); }

const OptionInfo* find_option(std::string_view key) {
  for (const OptionInfo& option : all_options()) {
    if (option.key == key) {
      return &option;
    }
  }
  return nullptr;
}

std::string_view nearest_key(std::string_view key) {
  // A key of absurd length is compared by its beginning only.
  constexpr std::size_t kKeyBytesMax = 128;
  const std::string_view wanted = key.substr(0, kKeyBytesMax);
  for (const auto& [old_key, modern_key] : kOldSpellings) {
    if (wanted == old_key) {
      return modern_key;
    }
  }
  const OptionInfo* nearest = nullptr;
  std::size_t nearest_distance = 0;
  for (const OptionInfo& option : all_options()) {
    // A forgotten prefix costs nothing, so that "checkpointing.interval" finds its full name.
    const bool is_tail = option.key.size() > wanted.size() && option.key.ends_with(wanted) &&
                         option.key[option.key.size() - wanted.size() - 1] == '.';
    const std::size_t distance = is_tail ? 0 : edit_distance(wanted, option.key);
    if (nearest == nullptr || distance < nearest_distance) {
      nearest = &option;
      nearest_distance = distance;
    }
  }
  return nearest->key;
}

std::string configuration_reference() {
  std::string text =
      "# Configuration\n\n"
      "<!-- Generated from include/weir/config_options.h by the test ConfigurationReference."
      " Do not edit:\n"
      "     WEIR_UPDATE_DOCS=1 writes it anew. -->\n\n"
      "Keys and meanings are Flink's. A value is taken from, in rising precedence:\n\n"
      "1. code: `configuration.set(options::kCheckpointInterval, 10s)`\n"
      "2. the YAML file of `--config <file>`, with nested or dotted keys\n"
      "3. the environment: `WEIR_CONF_` and the key, with `__` for `.` and `_` for `-`:\n"
      "   `WEIR_CONF_execution__checkpointing__min_pause=5s`\n"
      "4. the command line: `-D execution.checkpointing.interval=10s`\n\n"
      "An unknown key, a value out of range, a setting without effect and two settings that"
      " contradict each\nother stop the job before it starts.\n\n"
      "Durations: a number and `d`, `h`, `min` or `m`, `s`, `ms`, `us`, `ns`; a bare number is"
      " milliseconds.\nSizes: a number and `b`, `kb`, `mb`, `gb`, `tb` (powers of 1024); a bare"
      " number is bytes.\nKeys marked *not yet* are known, but only their default is accepted in"
      " this build.\n\n"
      "| key | type | default | meaning |\n|---|---|---|---|\n";
  for (const OptionInfo& option : all_options()) {
    text += "| `" + std::string(option.key) + "` | " + std::string(option.type_name) + " | ";
    text += option.default_text.empty() ? "none" : "`" + std::string(option.default_text) + "`";
    text += " | " + std::string(option.is_available ? "" : "*not yet* ");
    text += std::string(option.description) + " |\n";
  }
  return text;
}

}  // namespace weir
