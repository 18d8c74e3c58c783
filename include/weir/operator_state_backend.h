#pragma once

#include <string>
#include <vector>

#include "weir/result.h"
#include "weir/type_ops.h"

namespace weir {

/// State of an operator that is not keyed: named lists of encoded items that are dealt out to the
/// subtasks on restore. operator_state.h is what user code sees of it.
class OperatorStateBackend {
 public:
  enum class Redistribution {
    kSplit,      ///< list state: every item goes to exactly one subtask
    kUnion,      ///< union list state: every subtask gets all items
    kBroadcast,  ///< every subtask holds an equal copy and gets one back
  };
  struct Descriptor {
    std::string name;  ///< unique among the operator states of its operator
    Redistribution redistribution = Redistribution::kSplit;
    /// Of an entry of a map, which is stored as the length of its key (a varint), key, value. Null:
    /// items are values alone.
    const TypeOps* key = nullptr;
    const TypeOps* value = nullptr;
  };
  struct Restored {
    std::vector<std::string> items;  ///< in the present form of their type
    /// So many at the front are other subtasks': union list state. They are not this one's to
    /// store.
    std::size_t others = 0;
  };
  virtual ~OperatorStateBackend() = default;
  /// Opens a state; what was restored for this subtask is stored again until set() replaces it.
  /// kInvalidArgument: the name is taken, or what is stored does not fit.
  virtual Result<Restored> open(const Descriptor& descriptor) = 0;
  /// Replaces the items that the next snapshot stores. REQUIRES: the state is open.
  virtual void set(const std::string& name, std::vector<std::string> items) = 0;
};

}  // namespace weir
