#include "runtime/dealt_splits.h"

#include <iterator>
#include <utility>

namespace weir::runtime {

DealtSplits::DealtSplits(int parallelism, Deliver deliver)
    : hands_(static_cast<std::size_t>(parallelism)), deliver_(std::move(deliver)) {}

void DealtSplits::assign(int subtask, std::vector<SourceSplit> splits) {
  auto& hand = hands_.at(static_cast<std::size_t>(subtask)).splits;
  hand.insert(hand.end(), std::move_iterator(splits.begin()), std::move_iterator(splits.end()));
}

void DealtSplits::signal_no_more(int subtask) {
  hands_.at(static_cast<std::size_t>(subtask)).is_last = true;
}

void DealtSplits::deliver() {
  for (std::size_t subtask = 0; subtask < hands_.size(); ++subtask) {
    Hand hand = std::exchange(hands_[subtask], {});
    if (!hand.splits.empty()) {
      deliver_(static_cast<int>(subtask), AddSplits{std::move(hand.splits)});
    }
    if (hand.is_last) {
      deliver_(static_cast<int>(subtask), NoMoreSplits{});
    }
  }
}

}  // namespace weir::runtime
