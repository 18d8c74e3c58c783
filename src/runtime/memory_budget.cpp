#include "runtime/memory_budget.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/log.h"
#include "base/machine_memory.h"
#include "weir/memory_options.h"
#include "weir/rocksdb_options.h"

// Of jemalloc, which programs are linked with where it is found; null otherwise.
extern "C" int mallctl(const char* name, void* old_value, std::size_t* old_length, void* new_value,
                       std::size_t new_length) __attribute__((weak));

namespace weir::runtime {
namespace {

/// From this share of the limit on sources wait.
constexpr double kTightShare = 0.95;
/// Least share of the process' memory that is for nobody in particular.
constexpr double kRestShareMin = 0.2;

std::int64_t share_of(std::int64_t bytes, double share) {
  return static_cast<std::int64_t>(static_cast<double>(bytes) * share);
}

std::string show(std::int64_t bytes) {
  return fmt::format("{:.0f} MiB", static_cast<double>(bytes) / (1 << 20));
}

/// Gives free pages that the allocator keeps for later back to the system.
void return_free_pages() {
  if (mallctl != nullptr) {
    constexpr auto kAllArenas = "arena.4096.purge";  // MALLCTL_ARENAS_ALL
    (void)mallctl(kAllArenas, nullptr, nullptr, nullptr, 0);
  }
}

}  // namespace

Result<MemorySettings> memory_settings_of(const Configuration& configuration) {
  using namespace options;
  MemorySettings settings;
  const auto process = configuration.find(kProcessMemory);
  settings.process = process.has_value() ? process->value : share_of(available_memory_bytes(), 0.9);
  settings.network = std::clamp(
      share_of(settings.process, configuration.get(kNetworkMemoryFraction)),
      configuration.get(kNetworkMemoryMin).value, configuration.get(kNetworkMemoryMax).value);
  settings.connectors = share_of(settings.process, configuration.get(kConnectorMemoryFraction));
  if (configuration.get(kStateBackend) == StateBackendType::kRocksDb) {
    settings.rocksdb = configuration.get(kRocksDbMemory).value;
  }
  const std::int64_t fixed = settings.network + settings.connectors + settings.rocksdb;
  if (fixed > share_of(settings.process, 1 - kRestShareMin)) {
    const std::string of_rocksdb =
        settings.rocksdb == 0
            ? ""
            : fmt::format(" and {} {}", kRocksDbMemory.key, show(settings.rocksdb));
    return Error{
        ErrorCode::kInvalidArgument,
        fmt::format("{} is {}{}, of which less than a fifth is left for everything else: "
                    "taskmanager.memory.network.* makes {}, {} makes {}{}; give the process more "
                    "or these less",
                    kProcessMemory.key, show(settings.process),
                    process.has_value() ? "" : " (nine tenths of what there is)",
                    show(settings.network), kConnectorMemoryFraction.key, show(settings.connectors),
                    of_rocksdb)};
  }
  return settings;
}

MemoryBudget::MemoryBudget(const MemorySettings& settings, std::function<std::int64_t()> measure)
    : settings_(settings),
      measure_(measure != nullptr ? std::move(measure) : resident_memory_bytes),
      network_(settings.network) {}

std::int64_t MemoryBudget::connector_share(int users) const {
  return settings_.connectors / std::max(1, users);
}

Status MemoryBudget::watch(std::int64_t now_ns) {
  if (now_ns < next_ns_) {
    return {};
  }
  next_ns_ = now_ns + kWatchIntervalNs;
  used_ = measure_();
  const std::int64_t tight_from = share_of(settings_.process, kTightShare);
  if (used_ >= tight_from) {
    return_free_pages();
    used_ = measure_();
  }
  const bool was_tight = is_tight();
  is_tight_.store(used_ >= tight_from, std::memory_order_relaxed);
  if (!is_tight()) {
    return {};
  }
  if (!was_tight) {
    tight_since_ns_ = now_ns;
    log().warn("the process takes {} of {} of memory ({}): the sources wait", show(used_),
               show(settings_.process), options::kProcessMemory.key);
  }
  if (used_ > settings_.process || now_ns - tight_since_ns_ >= kPatienceNs) {
    return error();
  }
  return {};
}

Error MemoryBudget::error() const {
  const std::int64_t known = network_.used() + settings_.connectors + settings_.rocksdb;
  const std::string mend =
      settings_.rocksdb == 0
          ? "state.backend.type rocksdb keeps state on disk (it reads checkpoints of the heap)"
          : "look at what the job's functions keep";
  return Error{
      ErrorCode::kOutOfMemory,
      fmt::format(
          "the job needs more memory than {} allows: the process takes {} of {}, of which "
          "{} are records between tasks and {} client queues and RocksDB, and the rest, {}, "
          "is state on the heap and what functions keep; allow more, or {}. Nothing is "
          "lost: the job goes on from its last checkpoint",
          options::kProcessMemory.key, show(used_), show(settings_.process), show(network_.used()),
          show(settings_.connectors + settings_.rocksdb),
          show(std::max<std::int64_t>(0, used_ - known)), mend)};
}

}  // namespace weir::runtime
