// How a table finds what it is asked for.

#include <algorithm>
#include <limits>
#include <utility>

#include "state/rocksdb/rocks_key.h"
#include "state/rocksdb/rocks_table.h"
#include "state/rocksdb/scratch_value.h"
#include "weir/codec.h"

namespace weir::state {
namespace {

/// A table that is not written has to stay within its memory, too: it makes room after so many
/// calls, or when so much was read.
constexpr std::uint32_t kReadsPerRoom = 256;
constexpr std::size_t kLoadedPerRoom = std::size_t{64} << 10;
/// A generation of what was given out ends with so many nodes, or with so many bytes if these are
/// not few nodes.
constexpr std::size_t kGivenMax = 2048;
constexpr std::size_t kGivenMin = 64;
/// Keys that are looked for at once: their values are all in memory before the first is decoded.
constexpr std::size_t kMultiGetMax = 128;
/// Prefetching stops for a while when less than a quarter of what it finds is asked for.
constexpr std::size_t kUsedMin = 4;
constexpr std::size_t kPauseMin = 8;
constexpr std::size_t kPauseMax = 256;

}  // namespace

/// `stored`: what RocksDB has, hash first; empty when it has nothing.
std::uint32_t RocksTable::install(Space& space, const void* key, std::uint32_t hash,
                                  std::uint32_t tag, std::string_view stored) {
  const std::uint32_t id = cache_.insert(space, hash, tag, key);
  Node& node = cache_.node(id);
  if (!stored.empty()) {
    void* value = cache_.value_of(node);
    descriptor_.value->default_construct(value);
    cache_.set_live(node);
    if (stored.size() < kRocksValuePrefix || hash_of_rocks_value(stored) != hash ||
        !decode_into(*descriptor_.value, stored.substr(kRocksValuePrefix), value)) {
      owner_.fail(Error{ErrorCode::kCorruption,
                        "state '" + descriptor_.name + "': a value in RocksDB does not decode"});
    }
    node.is_below = true;
  }
  cache_.set_more_bytes(
      node, bytes_elsewhere(node, stored.empty() ? 0 : stored.size() - kRocksValuePrefix));
  ++loaded_;
  loaded_bytes_ += cache_.node_bytes() + node.more_bytes;
  return id;
}

std::uint32_t RocksTable::look_up(Space& space, const void* key, std::uint32_t hash) {
  const std::uint32_t tag = tag_of(space, hash, key);
  const std::uint32_t id = cache_.find(space.id, hash, tag, key);
  if (id != ValueCache::kNone || is_complete(space)) {
    return id;
  }
  scratch_key_.clear();
  encode_key(space.ns, hash, key, scratch_key_);
  rocksdb::PinnableSlice stored;
  ++reads_.single;
  const rocksdb::Status status =
      store_.db().Get(rocksdb::ReadOptions(), family_of(key_group_of(hash)).handle,
                      slice_of(scratch_key_), &stored);
  if (!status.ok() && !status.IsNotFound()) {
    owner_.fail(store_.error(status, "reading state '" + descriptor_.name + "' from"));
  }
  return install(space, key, hash, tag, status.ok() ? view_of(stored) : std::string_view());
}

void RocksTable::find_cached(const Space& space, const KeyColumn& column) {
  nodes_.resize(column.count);
  missing_.clear();
  for (std::size_t begin = 0; begin < column.count; begin += kBlockKeys) {
    const std::size_t end = std::min(begin + kBlockKeys, column.count);
    std::uint32_t tags[kBlockKeys];
    for (std::size_t i = begin; i < end; ++i) {
      tags[i - begin] = tag_of(space, column.hashes[i], column.data + i * column.stride);
      cache_.prefetch(tags[i - begin]);
    }
    for (std::size_t i = begin; i < end; ++i) {
      cache_.prefetch_node(cache_.candidate(tags[i - begin]));
    }
    for (std::size_t i = begin; i < end; ++i) {
      nodes_[i] =
          cache_.find(space.id, column.hashes[i], tags[i - begin], column.data + i * column.stride);
      if (nodes_[i] == ValueCache::kNone) {
        missing_.push_back(static_cast<std::uint32_t>(i));
      }
    }
  }
}

/// Sorted, so that neighbours share a block.
void RocksTable::load_missing(Space& space, const KeyColumn& column, std::size_t bytes_max) {
  struct Wanted {
    std::uint32_t number;
    std::size_t at;
    std::size_t bytes;
  };
  std::vector<Wanted> wanted;
  wanted.reserve(missing_.size());
  std::string keys;
  for (const std::uint32_t i : missing_) {
    const std::size_t at = keys.size();
    encode_key(space.ns, column.hashes[i], column.data + i * column.stride, keys);
    wanted.push_back({i, at, keys.size() - at});
  }
  const auto key_of = [&](const Wanted& one) {
    return std::string_view(keys).substr(one.at, one.bytes);
  };
  std::sort(wanted.begin(), wanted.end(),
            [&](const Wanted& a, const Wanted& b) { return key_of(a) < key_of(b); });
  wanted.erase(
      std::unique(wanted.begin(), wanted.end(),
                  [&](const Wanted& a, const Wanted& b) { return key_of(a) == key_of(b); }),
      wanted.end());
  std::size_t bytes = 0;
  for (std::size_t begin = 0; begin < wanted.size() && bytes < bytes_max;) {
    RocksStore::Family& family = family_of(key_group_of(column.hashes[wanted[begin].number]));
    rocksdb::Slice slices[kMultiGetMax];
    rocksdb::PinnableSlice values[kMultiGetMax];
    rocksdb::Status statuses[kMultiGetMax];
    std::size_t count = 0;
    while (count < kMultiGetMax && begin + count < wanted.size() &&
           &family_of(key_group_of(column.hashes[wanted[begin + count].number])) == &family) {
      slices[count] = slice_of(key_of(wanted[begin + count]));
      ++count;
    }
    store_.db().MultiGet(rocksdb::ReadOptions(), family.handle, count, slices, values, statuses,
                         true);
    reads_.together += count;
    for (std::size_t n = 0; n < count; ++n) {
      const std::uint32_t i = wanted[begin + n].number;
      if (!statuses[n].ok() && !statuses[n].IsNotFound()) {
        owner_.fail(store_.error(statuses[n], "reading state '" + descriptor_.name + "' from"));
      }
      const std::byte* const key = column.data + i * column.stride;
      Node& node =
          cache_.node(install(space, key, column.hashes[i], tag_of(space, column.hashes[i], key),
                              statuses[n].ok() ? view_of(values[n]) : std::string_view()));
      node.last_given = generation_;
      bytes += cache_.node_bytes() + node.more_bytes;
    }
    begin += count;
  }
}

// --- Calls -------------------------------------------------------------------------------------

void RocksTable::next_generation() {
  ++generation_;
  given_ = 0;
  given_bytes_ = 0;
}

void RocksTable::begin_call(std::size_t entries, RocksTableOwner::CallKind kind) {
  settle();
  if (given_ >= kGivenMax ||
      (given_ >= kGivenMin && given_bytes_ >= owner_.protected_bytes_max() / 2)) {
    next_generation();
  }
  reads_since_room_ = 0;
  loaded_bytes_ = 0;
  owner_.before_call(*this, std::max(entries, std::exchange(loaded_, 0)), kind);
}

void RocksTable::begin_reading(RocksTableOwner::CallKind kind) {
  settle();
  if (++reads_since_room_ >= kReadsPerRoom || loaded_bytes_ >= kLoadedPerRoom) {
    begin_call(0, kind);
  }
}

const void* RocksTable::find(StateNamespace ns, const void* key, std::uint32_t hash) {
  begin_reading();
  Space* space = space_of(ns);
  if (space == nullptr) {
    return nullptr;
  }
  const std::uint32_t id = look_up(*space, key, hash);
  if (id == ValueCache::kNone) {
    return nullptr;
  }
  Node& node = cache_.node(id);
  touch(node);
  return node.kind == Kind::kLive ? cache_.value_of(node) : nullptr;
}

void RocksTable::prefetch(StateNamespace ns, const KeyColumn& column) {
  Space* const space = space_of(ns);
  if (space == nullptr) {
    return;
  }
  const bool is_in_vain = prefetch_used_ * kUsedMin < prefetch_found_;
  if (prefetch_paused_ == 0 && prefetch_found_ >= kGivenMin) {
    prefetch_pause_ = is_in_vain ? std::clamp(2 * prefetch_pause_, kPauseMin, kPauseMax) : 0;
    prefetch_paused_ = prefetch_pause_;
  }
  prefetch_found_ = 0;
  prefetch_used_ = 0;
  if (is_complete(*space) || prefetch_paused_ != 0) {
    prefetch_paused_ -= prefetch_paused_ == 0 ? 0 : 1;
    for (std::size_t i = 0; i < column.count; ++i) {
      cache_.prefetch(tag_of(*space, column.hashes[i], column.data + i * column.stride));
    }
    return;
  }
  begin_call(std::min(column.count, kGivenMax), RocksTableOwner::CallKind::kReads);
  next_generation();
  find_cached(*space, column);
  // Not more than may be kept until it is asked for.
  const std::size_t bytes_max = owner_.protected_bytes_max();
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < nodes_.size() && bytes < bytes_max; ++i) {
    if (nodes_[i] == ValueCache::kNone) {
      continue;
    }
    Node& node = cache_.node(nodes_[i]);
    if (node.last_given != generation_) {
      node.last_given = generation_;
      bytes += cache_.node_bytes() + node.more_bytes;
      ++prefetch_found_;
    }
  }
  if (missing_.size() >= kMultiGetMin && bytes < bytes_max) {
    const std::uint64_t before = reads_.together;
    load_missing(*space, column, bytes_max - bytes);
    prefetch_found_ += reads_.together - before;
  }
  prefetch_generation_ = generation_;
  next_generation();
}

}  // namespace weir::state
