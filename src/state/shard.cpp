#include "state/shard.h"

#include <sys/mman.h>

#include <cstring>
#include <new>

#include "weir/check.h"

namespace weir::state {
namespace {

constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;
constexpr std::size_t kCacheLineBytes = 64;
constexpr std::size_t kPageBytes = 4096;
/// Freed blocks of this size give their pages back at once.
constexpr std::size_t kReturnedBytesMin = std::size_t{64} << 10;

std::size_t round_up(std::size_t size, std::size_t to) { return (size + to - 1) / to * to; }

/// The last huge page may be filled but for less than a slot.
bool is_mapped(std::size_t bytes) { return round_up(bytes, kPageBytes) >= kHugePageBytes; }

std::align_val_t heap_alignment(std::size_t bytes, std::size_t alignment) {
  // Whole lines for tables of some size; tiny ones share lines.
  const std::size_t wanted = bytes >= 1024 ? kCacheLineBytes : 16;
  return std::align_val_t{alignment > wanted ? alignment : wanted};
}

/// A mapping that begins at a huge page boundary.
std::byte* map_slots(std::size_t bytes) {
  const std::size_t length = round_up(bytes, kPageBytes);
  void* memory = ::mmap(nullptr, length + kHugePageBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    throw std::bad_alloc();
  }
  const auto base = reinterpret_cast<std::uintptr_t>(memory);
  const std::uintptr_t aligned = round_up(base, kHugePageBytes);
  if (aligned != base) {
    ::munmap(memory, aligned - base);
  }
  const std::size_t tail = base + kHugePageBytes - aligned;
  auto* slots = reinterpret_cast<std::byte*>(aligned);
  if (tail != 0) {
    ::munmap(slots + length, tail);
  }
  ::madvise(slots, length, MADV_HUGEPAGE);  // A hint: small pages are slower, not wrong.
  return slots;
}

}  // namespace

std::byte* allocate_slots(std::size_t bytes, std::size_t alignment) {
  if (is_mapped(bytes)) {
    WEIR_CHECK(alignment <= kPageBytes);
    return map_slots(bytes);
  }
  void* memory = ::operator new(bytes, heap_alignment(bytes, alignment));
  std::memset(memory, 0, bytes);
  return static_cast<std::byte*>(memory);
}

void free_slots(std::byte* slots, std::size_t bytes, std::size_t alignment) {
  if (is_mapped(bytes)) {
    WEIR_CHECK(::munmap(slots, round_up(bytes, kPageBytes)) == 0);
  } else {
    if (bytes >= kReturnedBytesMin) {
      // A table that grows leaves such blocks behind, and the allocator would keep the pages for
      // seconds.
      const std::uintptr_t begin = round_up(reinterpret_cast<std::uintptr_t>(slots), kPageBytes);
      const std::uintptr_t end =
          reinterpret_cast<std::uintptr_t>(slots + bytes) & ~(kPageBytes - 1);
      ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
    }
    ::operator delete(slots, heap_alignment(bytes, alignment));
  }
}

bool can_grow_slots(std::size_t old_bytes, std::size_t new_bytes) {
  return is_mapped(old_bytes) && new_bytes > old_bytes;
}

std::byte* grow_slots(std::byte* slots, std::size_t old_bytes, std::size_t new_bytes) {
  std::byte* target = map_slots(new_bytes);
  void* moved = ::mremap(slots, round_up(old_bytes, kPageBytes), round_up(new_bytes, kPageBytes),
                         MREMAP_MAYMOVE | MREMAP_FIXED, target);
  if (moved == MAP_FAILED) {
    ::munmap(target, round_up(new_bytes, kPageBytes));
    throw std::bad_alloc();
  }
  return target;
}

std::byte* Shard::empty_slots() {
  // What a probe may read before it looks at the tags: two slots and the two behind them, see
  // RawKey.
  alignas(64) static std::byte slots[4 * kPairStrideMax] = {};
  return slots;
}

void attach_slots(Shard& shard, std::byte* slots, std::uint32_t capacity) {
  WEIR_CHECK(!shard.has_memory() && capacity % kSlotGroupMax == 0);
  shard.slots = slots;
  shard.capacity = capacity;
  shard.used = 0;
  shard.live = 0;
  shard.grow_at = capacity - capacity / 4;
}

std::byte* first_empty_slot(Shard& shard, std::uint32_t hash, const EntryLayout& layout) {
  std::byte* slot = shard.home(hash, layout);
  std::byte* const end = shard.end(layout);
  while (tag_of(slot) != kEmptyTag) {
    slot += layout.stride;
    if (slot == end) {
      slot = shard.slots;
    }
  }
  return slot;
}

void erase_slot(Shard& shard, std::byte* entry, std::uint32_t epoch, const EntryLayout& layout,
                const TombstoneRule& tombstones) {
  WEIR_CHECK(shard.live > 0);
  --shard.live;
  std::byte* const end = shard.end(layout);
  std::byte* next = entry + layout.stride;
  next = next == end ? shard.slots : next;
  if (tag_of(next) != kEmptyTag || tombstones.keeps_keys) {
    tag_of(entry) = epoch | kErasedBit;
    return;
  }
  // The probe sequences that pass this slot end right behind it: it and the tombstones before it
  // hold nothing together any more.
  tag_of(entry) = kEmptyTag;
  --shard.used;
  for (;;) {
    entry = (entry == shard.slots ? end : entry) - layout.stride;
    if ((tag_of(entry) & kErasedBit) == 0) {
      return;
    }
    tag_of(entry) = kEmptyTag;
    --shard.used;
  }
}

}  // namespace weir::state
