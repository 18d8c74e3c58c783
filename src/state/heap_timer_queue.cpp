#include "state/heap_timer_queue.h"

#include <algorithm>
#include <new>
#include <utility>

#include "base/planted_bug.h"
#include "state/timestamp_set.h"
#include "weir/check.h"
#include "weir/time.h"

namespace weir::state {
namespace {

constexpr std::uint32_t kCellsPerChunk = 256;
constexpr std::align_val_t kChunkAlignment{64};
/// The heap is rebuilt when it has more than twice the nodes it needs, plus these.
constexpr std::size_t kStaleNodesMin = 1024;

std::size_t round_up(std::size_t size, std::size_t to) { return (size + to - 1) / to * to; }

}  // namespace

StateTableDescriptor HeapTimerQueue::descriptor(std::string name, const TypeOps& key) {
  return {planted_bug("I4") ? "timers" : std::move(name), &key, &type_ops<TimestampSet>(), nullptr};
}

HeapTimerQueue::HeapTimerQueue(StateTable& table, const TypeOps& key)
    : table_(table),
      key_(key),
      key_offset_(round_up(sizeof(CellHeader), key.alignment)),
      cell_bytes_(round_up(key_offset_ + key.size, std::max(key.alignment, alignof(CellHeader)))) {
  rebuild();
}

HeapTimerQueue::~HeapTimerQueue() { free_all(); }

bool HeapTimerQueue::fires_later(const Node& a, const Node& b) {
  if (a.timestamp != b.timestamp) {
    return a.timestamp > b.timestamp;
  }
  // The counter may have wrapped around.
  return static_cast<std::int32_t>(a.sequence - b.sequence) > 0;
}

std::byte* HeapTimerQueue::cell_at(std::uint32_t cell) {
  return chunks_[cell / kCellsPerChunk] + (cell % kCellsPerChunk) * cell_bytes_;
}

std::uint32_t HeapTimerQueue::take_cell(StateNamespace ns, const void* key, std::uint32_t hash) {
  if (free_cells_.empty()) {
    WEIR_CHECK_MESSAGE(cell_count_ < 0xffff'ff00U, "too many timers in one subtask");
    if (cell_count_ % kCellsPerChunk == 0) {
      chunks_.reserve(chunks_.size() + 1);
      chunks_.push_back(
          static_cast<std::byte*>(::operator new(cell_bytes_ * kCellsPerChunk, kChunkAlignment)));
    }
    free_cells_.push_back(cell_count_++);
  }
  const std::uint32_t cell = free_cells_.back();
  std::byte* at = cell_at(cell);
  ::new (static_cast<void*>(at)) CellHeader{ns, hash};
  key_.copy_construct(at + key_offset_, key);
  free_cells_.pop_back();
  return cell;
}

void HeapTimerQueue::free_cell(std::uint32_t cell) {
  key_.destroy(cell_at(cell) + key_offset_);
  free_cells_.push_back(cell);
}

void HeapTimerQueue::push(std::int64_t timestamp, StateNamespace ns, const void* key,
                          std::uint32_t hash) {
  heap_.push_back(Node{timestamp, take_cell(ns, key, hash), next_sequence_++});
}

void HeapTimerQueue::add(std::int64_t timestamp, StateNamespace ns, const void* key,
                         std::uint32_t hash) {
  auto* timestamps = static_cast<TimestampSet*>(table_.find_or_create(ns, key, hash));
  if (!timestamps->insert(timestamp)) {
    return;
  }
  ++size_;
  if (heap_.size() > 2 * size_ + kStaleNodesMin) {
    rebuild();  // Takes the new timer in, too.
    return;
  }
  push(timestamp, ns, key, hash);
  is_top_settled_ = is_top_settled_ && timestamp >= heap_.front().timestamp;
  std::push_heap(heap_.begin(), heap_.end(), fires_later);
}

void HeapTimerQueue::remove(std::int64_t timestamp, StateNamespace ns, const void* key,
                            std::uint32_t hash) {
  auto* timestamps = static_cast<TimestampSet*>(table_.find_for_update(ns, key, hash));
  if (timestamps == nullptr || !timestamps->erase(timestamp)) {
    return;
  }
  --size_;
  if (timestamps->empty()) {
    table_.erase(ns, key, hash);
  }
  is_top_settled_ = is_top_settled_ && timestamp != heap_.front().timestamp;
}

HeapTimerQueue::Node HeapTimerQueue::pop_node() {
  std::pop_heap(heap_.begin(), heap_.end(), fires_later);
  const Node node = heap_.back();
  heap_.pop_back();
  is_top_settled_ = false;
  return node;
}

bool HeapTimerQueue::settle_top() {
  while (!heap_.empty() && !is_top_settled_) {
    const Node& top = heap_.front();
    std::byte* cell = cell_at(top.cell);
    const auto* header = reinterpret_cast<const CellHeader*>(cell);
    const auto* timestamps =
        static_cast<const TimestampSet*>(table_.find(header->ns, key_of(cell), header->hash));
    if (timestamps != nullptr && timestamps->contains(top.timestamp)) {
      is_top_settled_ = true;
    } else {
      free_cell(pop_node().cell);
    }
  }
  return !heap_.empty();
}

std::int64_t HeapTimerQueue::next_timestamp() {
  return settle_top() ? heap_.front().timestamp : kMaxTimestamp;
}

bool HeapTimerQueue::pop(std::int64_t now, Timer& timer) {
  if (popped_cell_ >= 0) {
    free_cell(static_cast<std::uint32_t>(popped_cell_));
    popped_cell_ = -1;
  }
  if (!settle_top() || heap_.front().timestamp > now) {
    return false;
  }
  const Node node = pop_node();
  std::byte* cell = cell_at(node.cell);
  const auto* header = reinterpret_cast<const CellHeader*>(cell);
  timer = Timer{node.timestamp, header->ns, key_of(cell), header->hash};
  popped_cell_ = node.cell;
  remove(timer.timestamp, timer.ns, timer.key, timer.hash);
  return true;
}

void HeapTimerQueue::rebuild() {
  for (const Node& node : heap_) {
    free_cell(node.cell);
  }
  heap_.clear();
  size_ = 0;
  for (const StateNamespace ns : table_.namespaces()) {
    table_.for_each(ns, [&](const void* key, std::uint32_t hash, const void* value) {
      for (const std::int64_t timestamp : *static_cast<const TimestampSet*>(value)) {
        push(timestamp, ns, key, hash);
        ++size_;
      }
    });
  }
  std::make_heap(heap_.begin(), heap_.end(), fires_later);
  is_top_settled_ = false;
}

void HeapTimerQueue::free_all() {
  for (const Node& node : heap_) {
    key_.destroy(cell_at(node.cell) + key_offset_);
  }
  if (popped_cell_ >= 0) {
    key_.destroy(cell_at(static_cast<std::uint32_t>(popped_cell_)) + key_offset_);
  }
  for (std::byte* chunk : chunks_) {
    ::operator delete(chunk, kChunkAlignment);
  }
}

}  // namespace weir::state
