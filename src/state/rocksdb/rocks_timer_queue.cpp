#include "state/rocksdb/rocks_timer_queue.h"

#include <algorithm>
#include <utility>

#include "weir/check.h"
#include "weir/codec.h"
#include "weir/time.h"

namespace weir::state {

void TimerByTime::encode(std::string& out) const {
  Encoder encoder(out);
  encoder.raw(timestamp);
  encoder.raw(ns);
  encoder.bytes(key.data(), key.size());
}

bool TimerByTime::parse(std::string_view bytes, TimerByTime& out) {
  Decoder in(bytes);
  out.timestamp = in.raw<std::int64_t>();
  out.ns = in.raw<StateNamespace>();
  out.key = in.rest();
  return in.ok();
}

StateTableDescriptor RocksTimerQueue::descriptor(std::string name) {
  return {std::move(name), &type_ops<std::string>(), &type_ops<std::uint8_t>(), nullptr, {}};
}

RocksTimerQueue::RocksTimerQueue(StateTable& table, const TypeOps& key)
    : table_(table), key_(key), popped_key_(key) {
  for (const StateNamespace bucket : table_.namespaces()) {
    buckets_.insert(bucket);
    size_ += table_.size(bucket);
  }
}

const std::string& RocksTimerQueue::encode(std::int64_t timestamp, StateNamespace ns,
                                           const void* key) {
  scratch_.clear();
  TimerByTime{timestamp, ns, {}}.encode(scratch_);
  Encoder out(scratch_);
  key_.encode(key, out);
  return scratch_;
}

void RocksTimerQueue::add(std::int64_t timestamp, StateNamespace ns, const void* key,
                          std::uint32_t hash) {
  const std::string& timer = encode(timestamp, ns, key);
  const StateNamespace bucket = bucket_of(timestamp);
  const std::size_t before = table_.size(bucket);
  table_.find_or_create(bucket, &timer, hash);
  if (table_.size(bucket) == before) {
    return;
  }
  ++size_;
  if (before == 0) {
    buckets_.insert(bucket);
  }
  if (!is_head_loaded_ || bucket > head_bucket_) {
    return;
  }
  if (bucket < head_bucket_) {
    head_.clear();
    is_head_loaded_ = false;
    is_top_settled_ = false;
    return;
  }
  is_top_settled_ = is_top_settled_ && timestamp >= head_.front().timestamp;
  head_.push_back({timestamp, hash, timer});
  std::push_heap(head_.begin(), head_.end(), fires_later);
}

void RocksTimerQueue::erase(StateNamespace bucket, const std::string& timer, std::uint32_t hash) {
  if (!table_.erase(bucket, &timer, hash)) {
    return;
  }
  --size_;
  if (table_.size(bucket) == 0) {
    table_.drop_namespace(bucket);
    buckets_.erase(bucket);
  }
}

void RocksTimerQueue::remove(std::int64_t timestamp, StateNamespace ns, const void* key,
                             std::uint32_t hash) {
  erase(bucket_of(timestamp), encode(timestamp, ns, key), hash);
  is_top_settled_ = is_top_settled_ && timestamp != head_.front().timestamp;
}

void RocksTimerQueue::pop_node() {
  std::pop_heap(head_.begin(), head_.end(), fires_later);
  head_.pop_back();
  is_top_settled_ = false;
}

bool RocksTimerQueue::settle_head() {
  for (;;) {
    while (is_head_loaded_ && !is_top_settled_ && !head_.empty()) {
      const Node& top = head_.front();
      if (table_.find(head_bucket_, &top.timer, top.hash) != nullptr) {
        is_top_settled_ = true;
      } else {
        pop_node();
      }
    }
    if (is_top_settled_) {
      return true;
    }
    is_head_loaded_ = false;
    if (buckets_.empty()) {
      return false;
    }
    head_bucket_ = *buckets_.begin();
    head_.clear();
    table_.for_each(head_bucket_, [this](const void* key, std::uint32_t hash, const void*) {
      const std::string& timer = *static_cast<const std::string*>(key);
      TimerByTime parsed;
      WEIR_CHECK(TimerByTime::parse(timer, parsed));
      head_.push_back({parsed.timestamp, hash, timer});
    });
    WEIR_CHECK(!head_.empty());
    std::make_heap(head_.begin(), head_.end(), fires_later);
    is_head_loaded_ = true;
  }
}

std::int64_t RocksTimerQueue::next_timestamp() {
  return settle_head() ? head_.front().timestamp : kMaxTimestamp;
}

bool RocksTimerQueue::pop(std::int64_t now, Timer& timer) {
  if (!settle_head() || head_.front().timestamp > now) {
    return false;
  }
  const Node node = head_.front();
  pop_node();
  erase(head_bucket_, node.timer, node.hash);
  TimerByTime parsed;
  const bool is_timer =
      TimerByTime::parse(node.timer, parsed) && decode_into(key_, parsed.key, popped_key_.get());
  WEIR_CHECK_MESSAGE(is_timer, "a timer that does not decode");
  timer = {parsed.timestamp, parsed.ns, popped_key_.get(), node.hash};
  return true;
}

}  // namespace weir::state
