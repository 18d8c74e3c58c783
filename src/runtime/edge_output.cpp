#include "runtime/edge_output.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "record/batch_split.h"

namespace weir::runtime {
namespace {

/// A batch travels when its records own this much, however few they are.
constexpr std::size_t kOwnedBytesMax = 1 << 20;

std::size_t owned_bytes(const Batch& batch) {
  const TypeOps& type = batch.type();
  return type.heap_bytes == nullptr ? 0 : type.heap_bytes(batch.data(), batch.size());
}

/// How many rows keep to kOwnedBytesMax when `rows` of them own so much.
std::size_t rows_within_limit(std::size_t rows, std::size_t owned) {
  return owned <= kOwnedBytesMax ? std::numeric_limits<std::size_t>::max()
                                 : std::max<std::size_t>(1, rows * kOwnedBytesMax / owned);
}

/// Moves row `i` of a batch of trivially copyable records of kSize bytes (0 = any) to another one.
template <std::size_t kSize>
void append_trivial(const Batch& from, std::size_t i, Batch& to) {
  const std::size_t size = kSize == 0 ? from.type().size : kSize;
  const std::size_t at = to.size();
  std::memcpy(to.data() + at * size, from.data() + i * size, size);
  to.timestamps()[at] = from.timestamps()[i];
  to.key_hashes()[at] = from.key_hashes()[i];
  to.set_size(at + 1);
}

void append_all(Batch& from, Batch& to) {
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (from.type().is_trivially_copyable) {
      append_trivial<0>(from, i, to);
    } else {
      to.append_moved(from, i);
    }
  }
  from.set_size(0);  // the records live in `to` now
}

}  // namespace

EdgeOutput::EdgeOutput(Options options, std::vector<Target> targets)
    : options_(std::move(options)) {
  WEIR_CHECK(!targets.empty());
  lanes_.reserve(targets.size());
  for (const Target& target : targets) {
    lanes_.push_back({target.channel, nullptr, 0});
  }
  next_lane_ = static_cast<std::size_t>(options_.subtask) % lanes_.size();
}

void EdgeOutput::emit(BatchPtr batch) {
  if (batch == nullptr || batch->empty()) {
    return;
  }
  if (options_.partitioning == Partitioning::kHash) {
    options_.key->hash(*batch);
  } else {
    batch->set_keyed(false);
  }
  switch (options_.partitioning) {
    case Partitioning::kHash:
      if (lanes_.size() > 1) {
        scatter(*batch);
        return;
      }
      break;
    case Partitioning::kBroadcast:
      for (std::size_t i = 1; i < lanes_.size(); ++i) {
        emit_to(lanes_[i], batch->clone());
      }
      break;
    case Partitioning::kRebalance:
    case Partitioning::kRescale:
      // Dealt out batch by batch: a batch is small beside what a channel holds.
      next_lane_ = (next_lane_ + 1) % lanes_.size();
      emit_to(lanes_[next_lane_], std::move(batch));
      return;
    case Partitioning::kForward:
    case Partitioning::kGlobal:
      break;
  }
  emit_to(lanes_[0], std::move(batch));
}

void EdgeOutput::emit_to(Lane& lane, BatchPtr batch) {
  // A receiver that is slow gets less at a time.
  const std::size_t owned = owned_bytes(*batch);
  const std::size_t rows_max =
      std::min(lane.channel->rows_max(), rows_within_limit(batch->size(), owned));
  if (batch->size() > rows_max) {
    flush_lane(lane);
    for (BatchPtr& piece : split_batch(std::move(batch), rows_max)) {
      push(lane, Element::of(std::move(piece)));
    }
    return;
  }
  if (lane.partial != nullptr) {
    if (lane.partial->size() + batch->size() <= lane.partial->capacity()) {
      append_all(*batch, *lane.partial);
      lane.owned_bytes += owned;
      if (lane.owned_bytes >= kOwnedBytesMax ||
          lane.partial->size() >= std::min(lane.partial->capacity() / 2, rows_max)) {
        flush_lane(lane);
      }
      return;
    }
    flush_lane(lane);
  }
  if (batch->size() < std::min(batch->capacity() / 4, rows_max)) {
    lane.partial = std::move(batch);  // too small to travel alone
    lane.owned_bytes = owned;
    return;
  }
  push(lane, Element::of(std::move(batch)));
}

void EdgeOutput::compute_lanes(const Batch& batch) {
  row_lanes_.resize(batch.size());
  const std::uint32_t* const hashes = batch.key_hashes();
  const auto max_parallelism = static_cast<std::uint32_t>(options_.max_parallelism);
  const auto parallelism = static_cast<std::uint32_t>(options_.receiver_parallelism);
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const std::uint32_t group = murmur_of_key_hash(hashes[i]) % max_parallelism;
    row_lanes_[i] = group * parallelism / max_parallelism;
  }
}

void EdgeOutput::scatter(Batch& batch) {
  compute_lanes(batch);
  const TypeOps& type = batch.type();
  const std::size_t size = batch.size();
  for (std::size_t i = 0; i < size; ++i) {
    Lane& lane = lanes_[row_lanes_[i]];
    if (lane.partial == nullptr) {
      lane.partial =
          Batch::make(type, std::min(Batch::default_capacity(type), lane.channel->rows_max()));
      lane.partial->set_keyed(true);
    }
    Batch& to = *lane.partial;
    if (!type.is_trivially_copyable) {
      lane.owned_bytes += type.heap_bytes(batch.record_at(i), 1);
      to.append_moved(batch, i);
    } else {
      switch (type.size) {
        case 8:
          append_trivial<8>(batch, i, to);
          break;
        case 16:
          append_trivial<16>(batch, i, to);
          break;
        case 24:
          append_trivial<24>(batch, i, to);
          break;
        case 32:
          append_trivial<32>(batch, i, to);
          break;
        default:
          append_trivial<0>(batch, i, to);
          break;
      }
    }
    if (to.full() || lane.owned_bytes >= kOwnedBytesMax) {
      flush_lane(lane);
    }
  }
  batch.set_size(0);
}

void EdgeOutput::push(Lane& lane, Element element) {
  if (element.kind == Element::Kind::kBatch) {
    sums_.add(*element.batch);
  }
  if (!lane.channel->push(std::move(element))) {
    ++overflow_count_;
  }
}

void EdgeOutput::flush_lane(Lane& lane) {
  if (lane.partial != nullptr && !lane.partial->empty()) {
    push(lane, Element::of(std::move(lane.partial)));
  }
  lane.partial.reset();
  lane.owned_bytes = 0;
}

void EdgeOutput::flush() {
  for (Lane& lane : lanes_) {
    flush_lane(lane);
  }
}

void EdgeOutput::broadcast(const Element& element) {
  for (Lane& lane : lanes_) {
    flush_lane(lane);
    Element copy = Element::of(element.kind);
    copy.watermark = element.watermark;
    copy.barrier = element.barrier;
    push(lane, std::move(copy));
    if (element.kind == Element::Kind::kBarrier && element.barrier.can_overtake &&
        options_.can_overtake) {
      lane.channel->announce(element.barrier);
    }
  }
}

void EdgeOutput::drain_overflow() {
  if (overflow_count_ == 0) {
    return;
  }
  for (Lane& lane : lanes_) {
    overflow_count_ -= lane.channel->drain_overflow();
  }
}

}  // namespace weir::runtime
