#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "state/entry_layout.h"

namespace weir::state {

/// The slots of a shard that were written, by epoch, as long as they are few: a delta visits them
/// and not the whole table. An entry is in once per epoch, or twice when its slot was erased and
/// used again.
class WriteLog {
 public:
  /// A slot of a table of `capacity` slots was written for the first time in `epoch`, the highest
  /// so far. `needed_above`: no delta will reach back behind that epoch.
  void add(std::uint32_t slot, std::uint32_t epoch, std::uint32_t capacity,
           std::uint32_t needed_above) {
    if (epoch <= complete_above_) {
      return;
    }
    if (epochs_.empty() || epochs_.back().epoch != epoch) {
      begin_epoch(epoch, needed_above);
    }
    if (slots_.size() < std::min(capacity / kSlotsPerLogged, kLoggedMax)) {
      slots_.push_back(slot);
    } else {
      lose(epoch);
    }
  }
  /// The slots were moved, or too many were written: what happened up to `epoch` is not known.
  void lose(std::uint32_t epoch) {
    complete_above_ = epoch;
    slots_.clear();
    epochs_.clear();
  }
  /// Whether every slot that was written in later epochs is in.
  bool covers(std::uint32_t since) const { return since >= complete_above_; }

  /// The slots that were written in the epochs after `since` and before `until`, ascending, each
  /// once. They are kept until end_walk().
  /// REQUIRES: covers(since).
  void begin_walk(std::uint32_t since, std::uint32_t until) {
    const auto position = [&](std::uint32_t epoch) {
      const auto found = std::find_if(epochs_.begin(), epochs_.end(),
                                      [&](const Epoch& each) { return each.epoch >= epoch; });
      return static_cast<std::ptrdiff_t>(found == epochs_.end() ? slots_.size() : found->begin);
    };
    walk_.assign(slots_.begin() + position(since + 1), slots_.begin() + position(until));
    std::sort(walk_.begin(), walk_.end());
    walk_.erase(std::unique(walk_.begin(), walk_.end()), walk_.end());
    walk_next_ = 0;
    is_walking_ = true;
  }
  bool is_walking() const { return is_walking_; }
  /// What is left of the walk.
  const std::uint32_t* next() const { return walk_.data() + walk_next_; }
  std::size_t left() const { return walk_.size() - walk_next_; }
  void advance() { ++walk_next_; }
  void end_walk() {
    is_walking_ = false;
    walk_.clear();
  }

  std::size_t memory_bytes() const {
    return (slots_.capacity() + walk_.capacity()) * sizeof(std::uint32_t) +
           epochs_.capacity() * sizeof(Epoch);
  }

 private:
  /// To visit one slot out of so many costs as much as to scan all.
  static constexpr std::uint32_t kSlotsPerLogged = 16;
  /// Sorting them takes about 4 ms.
  static constexpr std::uint32_t kLoggedMax = 64 * 1024;

  struct Epoch {
    std::uint32_t epoch;
    std::size_t begin;  ///< in slots_
  };

  void begin_epoch(std::uint32_t epoch, std::uint32_t needed_above) {
    const auto kept = std::find_if(epochs_.begin(), epochs_.end(),
                                   [&](const Epoch& each) { return each.epoch > needed_above; });
    const std::size_t gone = kept == epochs_.end() ? slots_.size() : kept->begin;
    slots_.erase(slots_.begin(), slots_.begin() + static_cast<std::ptrdiff_t>(gone));
    epochs_.erase(epochs_.begin(), kept);
    for (Epoch& each : epochs_) {
      each.begin -= gone;
    }
    epochs_.push_back({epoch, slots_.size()});
  }

  std::vector<std::uint32_t> slots_;
  std::vector<Epoch> epochs_;
  /// Before this epoch ended, slots were written that are not in. What was restored is in files.
  std::uint32_t complete_above_ = kRestoredEpoch;
  std::vector<std::uint32_t> walk_;
  std::size_t walk_next_ = 0;
  bool is_walking_ = false;
};

}  // namespace weir::state
