#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "weir/state_table.h"

namespace weir::state {

/// Timers as keyed state: the truth is a table (namespace, key) -> set of timestamps, which
/// snapshots, restore and rescaling treat like any other. Beside it a binary heap gives the order.
///
/// Invariant: every timer of the table has at least one node in the heap. A node without a timer
/// in the table was removed or taken already and is skipped. Timers of equal timestamp fire in the
/// order in which they were added.
class HeapTimerQueue final : public TimerQueue {
 public:
  static StateTableDescriptor descriptor(std::string name, const TypeOps& key);

  /// `table` was opened with descriptor() and outlives the queue. Timers in it are in the queue.
  HeapTimerQueue(StateTable& table, const TypeOps& key);
  ~HeapTimerQueue() override;

  void add(std::int64_t timestamp, StateNamespace ns, const void* key, std::uint32_t hash) override;
  void remove(std::int64_t timestamp, StateNamespace ns, const void* key,
              std::uint32_t hash) override;
  std::int64_t next_timestamp() override;
  bool pop(std::int64_t now, Timer& timer) override;
  std::size_t size() const override { return size_; }

 private:
  struct Node {
    std::int64_t timestamp;
    std::uint32_t cell;      ///< where namespace, hash and key are
    std::uint32_t sequence;  ///< order of adding
  };
  struct CellHeader {
    StateNamespace ns;
    std::uint32_t hash;
  };
  static bool fires_later(const Node& a, const Node& b);

  std::byte* cell_at(std::uint32_t cell);
  const void* key_of(std::byte* cell) const { return cell + key_offset_; }
  std::uint32_t take_cell(StateNamespace ns, const void* key, std::uint32_t hash);
  void free_cell(std::uint32_t cell);
  void push(std::int64_t timestamp, StateNamespace ns, const void* key, std::uint32_t hash);
  Node pop_node();
  /// Pops nodes without a timer. True if a node is left; it then has one.
  bool settle_top();
  void rebuild();
  void free_all();

  StateTable& table_;
  const TypeOps& key_;
  const std::size_t key_offset_;
  const std::size_t cell_bytes_;
  std::size_t size_ = 0;
  std::uint32_t next_sequence_ = 0;
  bool is_top_settled_ = false;
  std::vector<Node> heap_;
  std::vector<std::byte*> chunks_;
  std::vector<std::uint32_t> free_cells_;
  std::uint32_t cell_count_ = 0;
  std::int64_t popped_cell_ = -1;  ///< freed by the next call; -1 = none
};

}  // namespace weir::state
