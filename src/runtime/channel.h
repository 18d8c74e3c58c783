#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <utility>

#include "runtime/element.h"
#include "runtime/wake_signal.h"

namespace weir::runtime {

/// Carries elements from one task to one other task, in order: a bounded single-producer
/// single-consumer ring. Full means back-pressure.
class Channel {
 public:
  /// Elements (batches, mostly) under way at most.
  static constexpr std::size_t kCapacity = 16;

  /// Before the tasks run: whom to wake on the other side.
  void set_signals(WakeSignal* producer, WakeSignal* consumer) {
    producer_signal_ = producer;
    consumer_signal_ = consumer;
  }

  /// Producer only. False and `element` untouched when the channel is full.
  bool try_push(Element& element) {
    const std::size_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - cached_head_ == kCapacity) {
      cached_head_ = head_.load(std::memory_order_acquire);
      if (tail - cached_head_ == kCapacity) {
        return false;
      }
    }
    ring_[tail % kCapacity] = std::move(element);
    tail_.store(tail + 1, std::memory_order_release);
    consumer_signal_->wake();
    return true;
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
    head_.store(head + 1, std::memory_order_release);
    producer_signal_->wake();
    return true;
  }

  /// Elements under way, seen from any thread: a hint.
  std::size_t size_hint() const {
    return tail_.load(std::memory_order_relaxed) - head_.load(std::memory_order_relaxed);
  }

 private:
  // Each side's own counters share a line; the sides do not.
  alignas(64) std::atomic<std::size_t> head_{0};
  std::size_t cached_tail_ = 0;
  alignas(64) std::atomic<std::size_t> tail_{0};
  std::size_t cached_head_ = 0;
  alignas(64) std::array<Element, kCapacity> ring_;
  WakeSignal* producer_signal_ = nullptr;
  WakeSignal* consumer_signal_ = nullptr;
};

}  // namespace weir::runtime
