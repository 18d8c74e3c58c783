#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "state/entry_layout.h"

namespace weir::state {

/// Which slots of a shard were written, a bit each by epoch, as long as they are few: a delta
/// visits them and not the whole table. May name slots that were not: a walk looks at their tags.
class WrittenSlots {
 public:
  struct Limits {
    /// To mark and visit one slot out of so many costs as much as to scan all.
    std::uint32_t slots_per_mark = 64;
    /// Smaller tables are scanned.
    std::uint32_t capacity_min = 1024;
  };
  explicit WrittenSlots(Limits limits) : limits_(limits) {}

  /// Whether add() has to be told of a write in `epoch`.
  bool takes(std::uint32_t epoch) const { return epoch > complete_above_; }
  /// A slot of a table of `capacity` slots was written for the first time in `epoch`, the highest
  /// so far. `needed_above`: no delta will reach back behind that epoch. REQUIRES: takes(epoch).
  void add(std::uint32_t slot, std::uint32_t epoch, std::uint32_t capacity,
           std::uint32_t needed_above) {
    if (epochs_.empty() || epochs_.back().epoch != epoch) {
      if (capacity < limits_.capacity_min || rest_epochs_ > 0) {
        rest_epochs_ -= rest_epochs_ > 0 ? 1 : 0;
        lose(epoch);
        return;
      }
      begin_epoch(epoch, capacity, needed_above);
    }
    Epoch& last = epochs_.back();
    last.bits[slot / 64] |= std::uint64_t{1} << slot % 64;
    if (++last.count > capacity / limits_.slots_per_mark) {
      lose(epoch);
      // Once may be chance. When each epoch writes so much, marks are in vain: they pause, longer
      // every time.
      rest_epochs_ = next_rest_;
      next_rest_ = std::min(2 * next_rest_ + 1, kRestEpochsMax);
    }
  }
  /// The slots were moved, or too many were written: what happened up to `epoch` is not known.
  void lose(std::uint32_t epoch) {
    complete_above_ = epoch;
    epochs_.clear();
    spare_ = {};
  }
  /// Whether every slot that was written in later epochs is known.
  bool covers(std::uint32_t since) const { return since >= complete_above_; }

  /// Slots that were written in the epochs after `since` and before `until`, ascending, each once.
  /// They are kept until end_walk(). REQUIRES: covers(since).
  void begin_walk(std::uint32_t since, std::uint32_t until) {
    for (const Epoch& each : epochs_) {
      if (each.epoch <= since || each.first_epoch >= until) {
        continue;
      }
      if (walk_.empty()) {
        walk_ = each.bits;
      } else {
        merge(each.bits, walk_);
      }
    }
    walk_word_ = 0;
    is_walking_ = true;
  }
  bool is_walking() const { return is_walking_; }
  /// Takes the next slots of the walk, at most `slots_max`; returns how many. None: the walk is
  /// over.
  std::size_t take(std::uint32_t* slots, std::size_t slots_max) {
    std::size_t count = 0;
    for (; walk_word_ < walk_.size(); ++walk_word_) {
      for (std::uint64_t& word = walk_[walk_word_]; word != 0; word &= word - 1) {
        if (count == slots_max) {
          return count;
        }
        slots[count++] = static_cast<std::uint32_t>(64 * walk_word_) +
                         static_cast<std::uint32_t>(std::countr_zero(word));
      }
    }
    return count;
  }
  void end_walk() {
    is_walking_ = false;
    spare_ = std::exchange(walk_, {});
  }

  std::size_t memory_bytes() const {
    std::size_t words = walk_.capacity() + spare_.capacity();
    for (const Epoch& each : epochs_) {
      words += each.bits.capacity();
    }
    return words * sizeof(std::uint64_t) + epochs_.capacity() * sizeof(Epoch);
  }

 private:
  using Bits = std::vector<std::uint64_t>;
  /// More are kept as one.
  static constexpr std::size_t kEpochsMax = 4;
  static constexpr std::uint32_t kRestEpochsMax = 31;

  struct Epoch {
    std::uint32_t first_epoch;  ///< the first one that is in
    std::uint32_t epoch;        ///< the last
    Bits bits;
    std::uint32_t count = 0;  ///< bits set by add(), twice if a slot was erased and used again
  };

  static void merge(const Bits& from, Bits& to) {
    for (std::size_t i = 0; i < from.size(); ++i) {
      to[i] |= from[i];
    }
  }

  void begin_epoch(std::uint32_t epoch, std::uint32_t capacity, std::uint32_t needed_above) {
    if (!epochs_.empty()) {
      next_rest_ = 0;  // The last one did not write too much.
    }
    const auto kept = std::find_if(epochs_.begin(), epochs_.end(),
                                   [&](const Epoch& each) { return each.epoch > needed_above; });
    if (kept != epochs_.begin()) {
      spare_ = std::move(epochs_.front().bits);
    }
    epochs_.erase(epochs_.begin(), kept);
    if (epochs_.size() == kEpochsMax) {
      merge(epochs_[1].bits, epochs_[0].bits);
      epochs_[0].epoch = epochs_[1].epoch;
      spare_ = std::move(epochs_[1].bits);
      epochs_.erase(epochs_.begin() + 1);
    }
    Bits bits = std::exchange(spare_, {});
    bits.assign((std::size_t{capacity} + 63) / 64, 0);
    epochs_.push_back({epoch, epoch, std::move(bits)});
  }

  Limits limits_;
  std::uint32_t rest_epochs_ = 0;  ///< so many more epochs of writes are not marked
  std::uint32_t next_rest_ = 0;    ///< rest_epochs_ when the next epoch writes too much, too
  std::vector<Epoch> epochs_;      ///< ascending; all of one capacity
  Bits spare_;                     ///< memory to use again
  /// Before this epoch ended, slots were written that are not in. What was restored is in files.
  std::uint32_t complete_above_ = kRestoredEpoch;
  Bits walk_;
  std::size_t walk_word_ = 0;
  bool is_walking_ = false;
};

}  // namespace weir::state
