#pragma once

#include <functional>
#include <vector>

#include "runtime/task_messages.h"

namespace weir::runtime {

/// What an enumerator deals out during one of its calls. A reader gets all of it at once: it would
/// read ahead in the first of its splits otherwise, and the records of the others would be late.
class DealtSplits {
 public:
  using Deliver = std::function<void(int subtask, TaskMessage message)>;

  DealtSplits(int parallelism, Deliver deliver);

  /// Both throw std::out_of_range at a subtask that there is not.
  void assign(int subtask, std::vector<SourceSplit> splits);
  void signal_no_more(int subtask);

  /// At the end of the call.
  void deliver();

 private:
  struct Hand {
    std::vector<SourceSplit> splits;
    bool is_last = false;
  };
  std::vector<Hand> hands_;
  const Deliver deliver_;
};

}  // namespace weir::runtime
