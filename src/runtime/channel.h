#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <mutex>
#include <optional>
#include <utility>

#include "runtime/element.h"
#include "runtime/memory_budget.h"
#include "runtime/wake_signal.h"

namespace weir::runtime {

/// Carries elements from one task to one other task, in order: a bounded single-producer
/// single-consumer ring, and an overflow for what the producer had to get rid of when the ring was
/// full. An overflow means back-pressure: the producer makes no more until it is gone.
///
/// The consumer says how many records may be under way (set_rows_max), so that a slow one does not
/// have seconds of work queued: what a barrier overtakes, and what it waits for, stays small.
///
/// What is under way is taken from the memory for records between tasks. When that is exhausted a
/// channel holds one batch, so that every consumer has something to do and the memory comes back.
///
/// A barrier that may overtake is pushed like any other element and announced besides, so that the
/// consumer can act on it while it is still queued, and can look at everything ahead of it.
class Channel {
 public:
  /// Elements (batches, mostly) in the ring at most.
  static constexpr std::size_t kCapacity = 16;

  /// Before the tasks run: whom to wake on the other side.
  void set_signals(WakeSignal* producer, WakeSignal* consumer) {
    producer_signal_ = producer;
    consumer_signal_ = consumer;
  }

  /// Before the tasks run: where memory is taken from. Null: it is not counted.
  void set_memory(MemoryPool* memory) { memory_ = memory; }
  ~Channel() {
    for (std::size_t at = head_.load(); at != tail_.load(); ++at) {
      give_back(ring_[at % kCapacity]);
    }
    for (Element& element : overflow_) {
      give_back(element);
    }
  }
  Channel() = default;
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  /// Producer only. False and `element` untouched when the ring is full. REQUIRES: no overflow.
  bool try_push(Element& element) {
    const std::size_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - cached_head_ == kCapacity) {
      cached_head_ = head_.load(std::memory_order_acquire);
      if (tail - cached_head_ == kCapacity) {
        return false;
      }
    }
    if (element.kind == Element::Kind::kBatch) {
      // One batch may always be under way, however large it is.
      const std::uint64_t under_way = rows_in_ - rows_out_.load(std::memory_order_relaxed);
      if (under_way > 0 && (under_way + element.batch->size() > rows_max() ||
                            (memory_ != nullptr && memory_->is_exhausted()))) {
        return false;
      }
      rows_in_ += element.batch->size();
    }
    ring_[tail % kCapacity] = std::move(element);
    tail_.store(tail + 1, std::memory_order_release);
    consumer_signal_->wake();
    return true;
  }

  /// Producer only. False when the element went to the overflow.
  bool push(Element element) {
    charge(element);
    if (overflow_size_ == 0 && try_push(element)) {
      return true;
    }
    const std::lock_guard lock(mutex_);
    overflow_.push_back(std::move(element));
    ++overflow_size_;
    return false;
  }
  /// Producer only: moves elements from the overflow to the ring. Returns how many.
  std::size_t drain_overflow() {
    if (overflow_size_ == 0) {
      return 0;
    }
    const std::lock_guard lock(mutex_);
    std::size_t moved = 0;
    while (!overflow_.empty() && try_push(overflow_.front())) {
      overflow_.pop_front();
      ++moved;
    }
    overflow_size_ -= moved;
    return moved;
  }
  /// Producer only: the barrier, which was pushed already, may overtake.
  void announce(const Barrier& barrier) {
    {
      const std::lock_guard lock(mutex_);
      announced_ = barrier;
    }
    has_announcement_.store(true, std::memory_order_release);
    consumer_signal_->wake();
  }

  /// Consumer only. False when the channel is empty.
  bool try_pop(Element& element) {
    const std::size_t head = head_.load(std::memory_order_relaxed);
    if (head == cached_tail_) {
      cached_tail_ = tail_.load(std::memory_order_acquire);
      if (head == cached_tail_) {
        return false;
      }
    }
    element = std::move(ring_[head % kCapacity]);
    give_back(element);
    if (element.kind == Element::Kind::kBatch) {
      rows_out_.store(rows_out_.load(std::memory_order_relaxed) + element.batch->size(),
                      std::memory_order_relaxed);
    }
    head_.store(head + 1, std::memory_order_release);
    producer_signal_->wake();
    return true;
  }
  /// Consumer only: the latest announcement, once.
  std::optional<Barrier> take_announcement() {
    if (!has_announcement_.load(std::memory_order_acquire)) {
      return std::nullopt;
    }
    has_announcement_.store(false, std::memory_order_relaxed);
    const std::lock_guard lock(mutex_);
    return std::exchange(announced_, std::nullopt);
  }
  /// Consumer only: shows what is queued ahead of a checkpoint's barrier, oldest first, to
  /// `visit(const Element&)`. True if the barrier was found.
  template <class F>
  bool visit_ahead_of(CheckpointId checkpoint, F&& visit) const {
    // The overflow moves under the lock only, so nothing is seen twice or missed.
    const std::lock_guard lock(mutex_);
    const auto is_found = [&](const Element& element) {
      if (element.kind == Element::Kind::kBarrier && element.barrier.checkpoint == checkpoint) {
        return true;
      }
      visit(element);
      return false;
    };
    const std::size_t tail = tail_.load(std::memory_order_acquire);
    for (std::size_t at = head_.load(std::memory_order_relaxed); at != tail; ++at) {
      if (is_found(ring_[at % kCapacity])) {
        return true;
      }
    }
    for (const Element& element : overflow_) {
      if (is_found(element)) {
        return true;
      }
    }
    return false;
  }

  /// Consumer only. At least 1.
  void set_rows_max(std::size_t rows_max) { rows_max_.store(rows_max, std::memory_order_relaxed); }
  /// Producer: no batch should be larger than this.
  std::size_t rows_max() const { return rows_max_.load(std::memory_order_relaxed); }

  /// Elements under way in the ring, seen from any thread: a hint.
  std::size_t size_hint() const {
    return tail_.load(std::memory_order_relaxed) - head_.load(std::memory_order_relaxed);
  }

 private:
  // In the overflow, too: what is there is in memory already.
  void charge(Element& element) {
    if (memory_ != nullptr && element.kind == Element::Kind::kBatch) {
      element.charged_bytes = static_cast<std::int64_t>(element.batch->memory_bytes());
      memory_->take(element.charged_bytes);
    }
  }
  void give_back(Element& element) {
    if (element.charged_bytes != 0) {
      memory_->give_back(std::exchange(element.charged_bytes, 0));
    }
  }

  // Each side's own counters share a line; the sides do not.
  alignas(64) std::atomic<std::size_t> head_{0};
  std::size_t cached_tail_ = 0;
  std::atomic<std::uint64_t> rows_out_{0};
  std::atomic<std::size_t> rows_max_{std::numeric_limits<std::size_t>::max()};
  alignas(64) std::atomic<std::size_t> tail_{0};
  std::size_t cached_head_ = 0;
  std::uint64_t rows_in_ = 0;
  std::size_t overflow_size_ = 0;  ///< of overflow_, for the producer without the lock
  alignas(64) std::array<Element, kCapacity> ring_;
  WakeSignal* producer_signal_ = nullptr;
  WakeSignal* consumer_signal_ = nullptr;
  MemoryPool* memory_ = nullptr;

  std::atomic<bool> has_announcement_{false};
  mutable std::mutex mutex_;
  std::deque<Element> overflow_;      ///< guarded by mutex_
  std::optional<Barrier> announced_;  ///< guarded by mutex_
};

}  // namespace weir::runtime
