#include "runtime/keyed_state.h"

#include <utility>

#include "runtime/heap_keyed_state.h"
#include "runtime/rocksdb_keyed_state.h"

namespace weir::runtime {

std::string subtask_name(const SubtaskInfo& info) {
  return info.uid + "-" + std::to_string(info.subtask);
}

Result<std::unique_ptr<KeyedState>> make_keyed_state(const SubtaskInfo& info,
                                                     const TaskEnvironment& environment) {
  if (!environment.rocksdb.has_value()) {
    return std::unique_ptr<KeyedState>(std::make_unique<HeapKeyedState>(info, environment));
  }
  auto keyed_state = std::make_unique<RocksDbKeyedState>(info, environment);
  WEIR_TRY(keyed_state->open());
  return std::unique_ptr<KeyedState>(std::move(keyed_state));
}

}  // namespace weir::runtime
