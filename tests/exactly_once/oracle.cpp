#include "oracle.h"

#include <algorithm>

namespace crash {

std::string Faults::to_string() const {
  return std::to_string(seen) + " records, " + std::to_string(lost) + " lost, " +
         std::to_string(duplicated) + " duplicated, " + std::to_string(reordered) +
         " reordered, " + std::to_string(wrong) + " wrong";
}

Oracle::Oracle(std::uint64_t seed, std::uint32_t keys, std::uint64_t records, Values values)
    : keys_(keys), expected_(static_cast<std::int64_t>(records)) {
  for (std::uint64_t index = 0; index < records; ++index) {
    const Event event = make_event(seed, keys, index);
    auto& totals = keys_[event.key].totals;
    const std::int64_t before = totals.empty() || values == Values::kOwn ? 0 : totals.back();
    totals.push_back(before + event.value);
  }
}

void Oracle::add(const Total& result) {
  const std::scoped_lock lock(mutex_);
  ++faults_.seen;
  if (result.key >= keys_.size() || result.sequence < 0 ||
      result.sequence >= static_cast<std::int64_t>(keys_[result.key].totals.size())) {
    ++faults_.wrong;
    return;
  }
  OfKey& key = keys_[result.key];
  if (result.count != result.sequence + 1 ||
      result.total != key.totals[static_cast<std::size_t>(result.sequence)]) {
    ++faults_.wrong;
  }
  if (result.sequence >= key.next) {
    for (; key.next < result.sequence; ++key.next) {
      key.skipped.insert(key.next);
    }
    ++key.next;
  } else if (key.skipped.erase(result.sequence) > 0) {
    ++faults_.reordered;
  } else {
    ++faults_.duplicated;
  }
}

void Oracle::limit(std::uint64_t records) {
  const std::scoped_lock lock(mutex_);
  expected_ = static_cast<std::int64_t>(records);
  const std::uint64_t keys = keys_.size();
  for (std::uint64_t key = 0; key < keys; ++key) {
    keys_[key].totals.resize((records + keys - 1 - key) / keys);
  }
}

std::int64_t Oracle::expected() const {
  const std::scoped_lock lock(mutex_);
  return expected_;
}

void Oracle::add_garbage() {
  const std::scoped_lock lock(mutex_);
  ++faults_.seen;
  ++faults_.wrong;
}

std::int64_t Oracle::seen() const {
  const std::scoped_lock lock(mutex_);
  return faults_.seen;
}

Faults Oracle::so_far() const {
  const std::scoped_lock lock(mutex_);
  Faults result = faults_;
  for (const OfKey& key : keys_) {
    result.lost += static_cast<std::int64_t>(key.skipped.size());
  }
  return result;
}

Faults Oracle::at_end() const {
  Faults result = so_far();
  const std::scoped_lock lock(mutex_);
  for (const OfKey& key : keys_) {
    result.lost += std::max<std::int64_t>(
        0, static_cast<std::int64_t>(key.totals.size()) - key.next);
  }
  return result;
}

WindowOracle::WindowOracle(std::uint64_t seed, std::uint32_t keys, std::uint64_t records) {
  for (std::uint64_t index = 0; index < records; ++index) {
    const Event event = make_event(seed, keys, index);
    const std::uint32_t group = event.key % kWindowGroups;
    const std::int64_t start_ms = event.time_ms - event.time_ms % kWindowMs;
    WindowTotal& window = expected_[{group, start_ms}];
    window.group = group;
    window.start_ms = start_ms;
    ++window.count;
    window.total += event.value;
  }
}

void WindowOracle::add(const WindowTotal& result) {
  ++faults_.seen;
  const auto expected = expected_.find({result.group, result.start_ms});
  if (expected == expected_.end() || expected->second.count != result.count ||
      expected->second.total != result.total) {
    ++faults_.wrong;
  } else if (!found_.insert(expected->first).second) {
    ++faults_.duplicated;
  }
}

Faults WindowOracle::at_end() const {
  Faults result = faults_;
  result.lost = static_cast<std::int64_t>(expected_.size() - found_.size());
  return result;
}

}  // namespace crash
