// How what was written goes down, and what makes room then.

#include <algorithm>
#include <utility>

#include "base/planted_bug.h"
#include "state/rocksdb/rocks_key.h"
#include "state/rocksdb/rocks_map_layout.h"
#include "state/rocksdb/rocks_table.h"
#include "weir/codec.h"

namespace weir::state {
namespace {

/// Values are looked at again after each write while they have fewer bytes elsewhere; larger ones
/// the less often the larger they are, so that a look costs no more than the writes.
constexpr std::uint32_t kBytesPerLook = 4096;
/// Of values that own what only their encoding shows, so many are not looked at after one that is.
constexpr std::uint32_t kHiddenPerLook = 64;

}  // namespace

void RocksTable::encode_value(Node& node, std::string& out) {
  Encoder encoder(out);
  encoder.raw(node.hash);
  if (descriptor_.value->encodes_raw) {
    encoder.bytes(cache_.value_of(node), descriptor_.value->size);
  } else {
    descriptor_.value->encode(cache_.value_of(node), encoder);
  }
  if (out.size() > kItemBytesMax) {
    owner_.fail(Error{ErrorCode::kUser, "a value of type " + std::string(descriptor_.value->name) +
                                            " takes " + std::to_string(out.size()) +
                                            " bytes, more than " + std::to_string(kItemBytesMax)});
  }
}

// --- Memory ------------------------------------------------------------------------------------

std::size_t RocksTable::bytes_elsewhere(Node& node, std::size_t encoded) {
  std::size_t bytes = 0;
  if (layout_ == RocksLayout::kMapEntries) {
    bytes = heap_bytes(reinterpret_cast<const MapEntryKey*>(cache_.key_of(node))->bytes);
  } else if (descriptor_.key->heap_bytes != nullptr) {
    bytes = descriptor_.key->heap_bytes(cache_.key_of(node), 1);
  }
  if (node.kind != Kind::kLive || descriptor_.value->heap_bytes == nullptr) {
    return bytes;
  }
  const std::size_t seen = descriptor_.value->heap_bytes(cache_.value_of(node), 1);
  if (seen != 0) {
    return bytes + seen;
  }
  // It owns nothing, or hides what it owns: then its encoding is about as large.
  if (encoded == 0 && hidden_looks_++ % kHiddenPerLook == 0) {
    scratch_value_.clear();
    encode_value(node, scratch_value_);
    encoded = scratch_value_.size() - kRocksValuePrefix;
  }
  if (encoded == 0) {
    return bytes + hidden_bytes_;
  }
  hidden_bytes_ = static_cast<std::uint32_t>((std::uint64_t{7} * hidden_bytes_ + encoded) / 8);
  return bytes + encoded;
}

void RocksTable::measure(Node& node) {
  const std::uint32_t looks_apart = 1 + node.more_bytes / kBytesPerLook;
  if (looks_apart > 1) {
    chance_ = chance_ * 1'664'525U + 1'013'904'223U;
    if ((chance_ >> 8) % looks_apart != 0) {
      return;
    }
  }
  const std::size_t before = node.more_bytes;
  cache_.set_more_bytes(node, bytes_elsewhere(node, 0));
  if (node.more_bytes > before) {
    owner_.on_dirty(node.more_bytes - before);
    loaded_bytes_ += node.more_bytes - before;
  }
}

void RocksTable::settle() {
  for (const std::uint32_t id : written_) {
    measure(cache_.node(id));
  }
  written_.clear();
}

void RocksTable::evict(std::size_t excess, std::size_t reserve, std::size_t steps_max,
                       RocksTableOwner::CallKind kind) {
  settle();
  const std::uint32_t below = owner_.epochs().below.load(std::memory_order_acquire);
  const std::uint32_t limit = cache_.node_limit();
  const auto less = [](std::size_t bytes, std::size_t by) { return bytes > by ? bytes - by : 0; };
  const std::size_t bytes_wanted = less(cache_.bytes(), excess);
  const std::size_t used_wanted = less(bytes_wanted, reserve);
  // Nodes that go leave holes. Where these are most of what is too much, whole chunks are emptied,
  // from the last one on: what comes next goes to the first ones.
  const std::size_t holes_max = 2 * cache_.chunk_bytes() + bytes_wanted / 8;
  const auto may_go = [&](std::uint32_t id) {
    const Node& node = cache_.node(id);
    return !node.is_listed && (node.dirty_epoch <= below || planted_bug("S7")) &&
           !is_protected(node, kind) && cache_.space(node.space).scans == 0;
  };
  // Twice around, because of those that were referenced, and once more for the holes.
  const std::size_t steps = std::min(steps_max, std::size_t{3} * limit);
  for (std::size_t step = 0; step < steps; ++step) {
    if (cache_.used_bytes() > used_wanted) {
      hand_ = cache_.skip_gone(hand_ + 1 >= limit ? 0 : hand_ + 1);
      cache_.prefetch_node((hand_ + 16) % limit);
      if (!cache_.is_used(hand_) || !may_go(hand_)) {
        continue;
      }
      if (cache_.node(hand_).is_referenced) {
        cache_.node(hand_).is_referenced = false;
        continue;
      }
      cache_.remove(hand_);
    } else if (excess != 0 && cache_.bytes() > bytes_wanted + holes_max) {
      drain_ = drain_ == 0 || drain_ > limit ? limit - 1 : drain_ - 1;
      if (cache_.is_used(drain_) && may_go(drain_)) {
        cache_.remove(drain_);
      }
    } else {
      return;
    }
  }
}

// --- Runs --------------------------------------------------------------------------------------

RocksTablePart RocksTable::close_epoch(bool with_counts) {
  RocksTablePart part;
  part.table = this;
  part.epoch = owner_.epochs().current;
  part.nodes = std::exchange(dirty_, {});
  const bool is_all_encoded = owner_.epochs().encoded + 1 == part.epoch;
  for (const std::uint32_t id : std::exchange(dropped_, {})) {
    const Space& space = cache_.space(id);
    // An earlier run that is still to be encoded may bring something of it down.
    if (space.first_down != 0 || !is_all_encoded) {
      SortedRun::Dropped dropped{space.ns, {}};
      for (const GroupCounts::Count& count : space.groups.all()) {
        dropped.key_groups.push_back(count.key_group);
      }
      part.run.add_dropped(std::move(dropped));
    }
    garbage_.push_back(id);
  }
  if (with_counts) {
    for (const auto& [ns, id] : spaces_) {
      part.namespaces.push_back({ns, cache_.space(id).groups.all()});
    }
  }
  return part;
}

void RocksTable::encode_node(Node& node, RocksTablePart& part) {
  node.is_listed = false;
  Space& space = cache_.space(node.space);
  if (space.dropped_epoch != 0 && space.dropped_epoch <= part.epoch) {
    return;  // The run says that all of the namespace is gone.
  }
  if (node.kind == Kind::kAbsent && !node.is_below) {
    return;
  }
  scratch_key_.clear();
  encode_key(space.ns, node.hash, cache_.key_of(node), scratch_key_);
  if (node.kind == Kind::kAbsent) {
    part.run.add_erased(scratch_key_);
    return;
  }
  scratch_value_.clear();
  encode_value(node, scratch_value_);
  part.run.add(scratch_key_, scratch_value_);
  node.is_below = true;
  // A later run's entries may be encoded before an earlier one's, see mark().
  space.first_down = space.first_down == 0 ? part.epoch : std::min(space.first_down, part.epoch);
  const std::size_t encoded = scratch_value_.size() - kRocksValuePrefix;
  cache_.set_more_bytes(node, bytes_elsewhere(node, encoded));
}

std::size_t RocksTable::encode(RocksTablePart& part, std::size_t entries_max) {
  const std::size_t end = std::min(part.nodes.size(), part.next + entries_max);
  const std::size_t begin = part.next;
  for (; part.next < end; ++part.next) {
    if (part.next + 8 < part.nodes.size()) {
      cache_.prefetch_node(part.nodes[part.next + 8]);
    }
    const std::uint32_t id = part.nodes[part.next];
    if (!cache_.is_used(id)) {
      continue;
    }
    Node& node = cache_.node(id);
    if (node.is_listed && node.dirty_epoch == part.epoch) {
      encode_node(node, part);
    }
  }
  return end - begin;
}

void RocksTable::collect_garbage(std::size_t entries_max) {
  while (!garbage_.empty() && entries_max > 0) {
    Space& space = cache_.space(garbage_.back());
    if (space.dropped_epoch > owner_.epochs().encoded + 1 || space.scans != 0) {
      return;  // A run is still to be encoded in which its entries are.
    }
    for (; entries_max > 0 && space.head != ValueCache::kNone; --entries_max) {
      cache_.remove(space.head);
    }
    if (space.head == ValueCache::kNone) {
      const std::uint32_t id = space.id;
      garbage_.pop_back();
      cache_.free_space(id);
      entries_max -= entries_max == 0 ? 0 : 1;
    }
  }
}

}  // namespace weir::state
