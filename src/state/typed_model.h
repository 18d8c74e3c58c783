#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "state/model_operations.h"
#include "state/model_site.h"
#include "state/typed_states.h"

namespace weir::state::test {

/// What every kind of state of one key should hold; what has a time to live with the time of its
/// last change.
struct TypedKey {
  template <class T>
  struct Timed {
    T value;
    std::int64_t at;
  };
  std::optional<std::int64_t> value;
  std::vector<std::string> list;
  std::map<std::string, std::int64_t> map;
  std::optional<std::int64_t> total;
  std::optional<MeanOfNumbers::Accumulator> mean;
  std::optional<Timed<std::string>> brief_value;
  std::vector<Timed<std::int64_t>> brief_list;
  std::map<std::int64_t, Timed<std::string>> brief_map;
};

/// All kinds of keyed state of one operator in one backend beside plain containers, through the
/// public handles, with timers and times to live; snapshots of all of it, crashes at any moment and
/// restores into other parallelisms. `Keeper` makes a job's backends and takes their snapshots.
template <class Keeper, class K>
class TypedModel {
  using Stored = typename Keeper::Stored;

 public:
  TypedModel(std::uint64_t seed, std::uint64_t keys) : random_(seed + other_seed()), keeper_(seed) {
    for (std::uint64_t n = 0; n < keys; ++n) {
      keys_.push_back(key_of(n));
      numbers_[keys_.back()] = n;
    }
    now_.keys.resize(keys);
    open(1, nullptr);
  }

  void run(int steps) {
    for (int step = 0; step < steps && !::testing::Test::HasFailure(); ++step) {
      one_step();
    }
    if (!::testing::Test::HasFailure()) {
      finish_snapshot();
      compare(subtasks_, now_);
    }
  }
  std::uint64_t operations() const { return operations_; }
  const ModelCounts& counts() const { return keeper_.counts(); }

 private:
  using Timers = std::set<std::pair<std::int64_t, std::uint64_t>>;
  struct Everything {
    std::vector<TypedKey> keys;
    Timers event_timers;
    Timers processing_timers;
    /// Later than the machine's clock, by which RocksDB removes what has expired.
    std::int64_t time = std::int64_t{1} << 42;
    std::int64_t watermark = 0;
  };
  struct Subtask {
    std::unique_ptr<typename Keeper::Backend> backend;
    std::unique_ptr<TypedStates<K>> states;
  };
  /// A time that has expired lies so far back.
  static constexpr std::int64_t kTtl = TypedStates<K>::kTtlMs;

  static K key_of(std::uint64_t n) {
    if constexpr (std::is_same_v<K, std::string>) {
      // Some are so long that one byte does not hold their length.
      return std::to_string(n) + std::string(n % 50 == 0 ? 300 : n % 7 * 5, 'k');
    } else {
      return static_cast<K>(n) * 7919 - 1'000'000;
    }
  }
  std::uint64_t pick(std::uint64_t n) { return random_() % n; }
  std::int64_t any() { return static_cast<std::int64_t>(pick(1'000)); }
  std::size_t owner(std::uint64_t n) const {
    return static_cast<std::size_t>(
        subtask_of_key_group(key_group_of(key_hash(keys_[n]), Keeper::kMaxParallelism),
                             Keeper::kMaxParallelism, static_cast<int>(subtasks_.size())));
  }
  static bool is_expired(const Everything& all, std::int64_t at) { return at <= all.time - kTtl; }

  void open(int parallelism, const Stored* stored) { subtasks_ = make(parallelism, stored, true); }
  std::vector<Subtask> make(int parallelism, const Stored* stored, bool goes_on) {
    std::vector<Subtask> result;
    const bool has_compact_filter = pick(2) == 0;
    for (auto& backend : keeper_.make(parallelism, stored, goes_on)) {
      Subtask subtask{std::move(backend), nullptr};
      subtask.states = std::make_unique<TypedStates<K>>(*subtask.backend, has_compact_filter);
      EXPECT_TRUE(value_or_fail(subtask.backend->finish_restore()).empty());
      result.push_back(std::move(subtask));
    }
    return result;
  }

  void one_step() {
    const std::uint64_t what = pick(100);
    now_.time += static_cast<std::int64_t>(pick(10));
    if (what < 70) {
      batch();
    } else if (what < 80) {
      fire();
    } else if (what < 83) {
      start_snapshot();
    } else if (what < 94) {
      for (Subtask& subtask : subtasks_) {
        subtask.backend->copy_slice(pick(500) + 1);
      }
      keeper_.work(pick(3) == 0);
    } else if (what < 97) {
      finish_snapshot();
    } else if (what < 98) {
      abandon();
    } else if (what < 99) {
      compare(subtasks_, now_);
    } else if (pick(2) == 0) {
      restart();
    }
  }

  /// Its keys are prefetched and then worked on in order; some repeat.
  void batch() {
    const std::uint64_t range = pick(3) == 0 ? keys_.size() : keys_.size() / 16;
    std::vector<std::vector<std::uint64_t>> numbers(subtasks_.size());
    for (std::uint64_t i = pick(512) + 1; i > 0; --i) {
      const std::uint64_t n = pick(range);
      numbers[owner(n)].push_back(n);
    }
    for (std::size_t s = 0; s < subtasks_.size(); ++s) {
      std::vector<K> column;
      std::vector<std::uint32_t> hashes;
      for (const std::uint64_t n : numbers[s]) {
        column.push_back(keys_[n]);
        hashes.push_back(key_hash(keys_[n]));
      }
      TypedStates<K>& states = *subtasks_[s].states;
      states.begin_batch({reinterpret_cast<const std::byte*>(column.data()), sizeof(K),
                          hashes.data(), column.size()},
                         now_.time);
      for (std::size_t i = 0; i < column.size(); ++i) {
        states.set_key(column[i], i);
        for (std::uint64_t times = pick(4); times > 0; --times) {
          operate(states, numbers[s][i]);
        }
      }
    }
  }

  void operate(TypedStates<K>& states, std::uint64_t n) {
    ++operations_;
    TypedKey& key = now_.keys[n];
    switch (pick(5)) {
      case 0:
        on_value(states, key);
        break;
      case 1:
        on_list(states, key);
        break;
      case 2:
        on_map(states, key);
        break;
      case 3:
        on_folded(states, key);
        break;
      default:
        on_timers(states, n);
    }
  }

  void on_value(TypedStates<K>& states, TypedKey& key) {
    switch (pick(6)) {
      case 0:
        states.value.update(*(key.value = any()));
        break;
      case 1:
        states.value.mutable_value() += 3;
        key.value = key.value.value_or(0) + 3;
        break;
      case 2:
        states.value.clear();
        key.value.reset();
        break;
      case 3: {
        key.brief_value = {std::to_string(any()), now_.time};
        states.brief_value.update(key.brief_value->value);
        break;
      }
      case 4:
        states.brief_value.clear();
        key.brief_value.reset();
        break;
      default:
        compare_values(states, key, now_);
    }
  }

  void on_list(TypedStates<K>& states, TypedKey& key) {
    switch (pick(6)) {
      case 0:
      case 1:
        if (key.list.size() < 20) {
          key.list.push_back(std::to_string(any()));
          states.list.add(key.list.back());
        }
        break;
      case 2:
        key.list.resize(pick(4), "new");
        states.list.update(key.list);
        break;
      case 3:
        key.brief_list.push_back({any(), now_.time});
        states.brief_list.add(key.brief_list.back().value);
        break;
      case 4:
        if (key.brief_list.size() > 5) {
          states.brief_list.clear();
          key.brief_list.clear();
        }
        break;
      default:
        compare_lists(states, key, now_);
    }
  }

  void on_map(TypedStates<K>& states, TypedKey& key) {
    const std::int64_t number = any() % 12;
    const std::string name = std::to_string(number);
    switch (pick(8)) {
      case 0:
        states.map.put(name, key.map[name] = any());
        break;
      case 1:
        states.map.mutable_value(name) += 5;
        key.map[name] += 5;
        break;
      case 2:
        states.map.remove(name);
        key.map.erase(name);
        break;
      case 3:
        ASSERT_EQ(states.map.contains(name), key.map.contains(name));
        break;
      case 4:
        if (pick(4) == 0) {
          states.map.clear();
          key.map.clear();
        }
        break;
      case 5:
        key.brief_map[number] = {name, now_.time};
        states.brief_map.put(number, name);
        break;
      case 6:
        states.brief_map.remove(number);
        key.brief_map.erase(number);
        break;
      default:
        compare_maps(states, key, now_);
    }
  }

  void on_folded(TypedStates<K>& states, TypedKey& key) {
    const std::int64_t number = any();
    switch (pick(6)) {
      case 0:
      case 1:
        states.total.add(number);
        key.total = key.total.value_or(0) + number;
        break;
      case 2:
      case 3:
        states.mean.add(number);
        key.mean = key.mean.value_or(MeanOfNumbers().create_accumulator());
        MeanOfNumbers().add(*key.mean, number);
        break;
      case 4:
        states.total.clear();
        key.total.reset();
        states.mean.clear();
        key.mean.reset();
        break;
      default:
        compare_folded(states, key);
    }
  }

  void on_timers(TypedStates<K>& states, std::uint64_t n) {
    const std::int64_t event_time = now_.watermark + 1 + any();
    const std::int64_t time = now_.time + 1 + any();
    switch (pick(5)) {
      case 0:
      case 1:
        states.timers.register_event_time_timer(event_time);
        now_.event_timers.emplace(event_time, n);
        break;
      case 2:
        states.timers.register_processing_time_timer(time);
        now_.processing_timers.emplace(time, n);
        break;
      case 3:
        states.timers.delete_event_time_timer(event_time);
        now_.event_timers.erase({event_time, n});
        break;
      default:  // One that is there.
        if (const auto next = now_.event_timers.lower_bound({event_time, 0});
            next != now_.event_timers.end() && owner(next->second) == owner(n)) {
          states.set_key(keys_[next->second]);
          states.timers.delete_event_time_timer(next->first);
          states.set_key(keys_[n]);
          now_.event_timers.erase(next);
        }
    }
  }

  /// Both clocks advance.
  void fire() {
    now_.watermark += static_cast<std::int64_t>(pick(60));
    now_.time += static_cast<std::int64_t>(pick(60));
    ASSERT_EQ(take_due(subtasks_, &TimerService::event_time, now_.watermark),
              forget_due(now_.event_timers, now_.watermark));
    ASSERT_EQ(take_due(subtasks_, &TimerService::processing_time, now_.time),
              forget_due(now_.processing_timers, now_.time));
  }
  static Timers forget_due(Timers& timers, std::int64_t until) {
    const auto end = timers.lower_bound({until + 1, 0});
    Timers due(timers.begin(), end);
    timers.erase(timers.begin(), end);
    return due;
  }
  Timers take_due(const std::vector<Subtask>& subtasks, TimerQueue& (TimerService::*queue)(),
                  std::int64_t until) {
    Timers due;
    for (const Subtask& subtask : subtasks) {
      std::int64_t last = kMinTimestamp;
      for (TimerQueue::Timer timer{}; (subtask.states->timers.*queue)().pop(until, timer);) {
        EXPECT_GE(timer.timestamp, last);
        last = timer.timestamp;
        const K& key = *static_cast<const K*>(timer.key);
        EXPECT_EQ(timer.hash, key_hash(key));
        EXPECT_TRUE(due.emplace(timer.timestamp, numbers_.at(key)).second) << "it fires twice";
        ++operations_;
      }
    }
    return due;
  }

  static void compare_values(TypedStates<K>& states, const TypedKey& key, const Everything& all) {
    const std::int64_t* const value = states.value.value();
    ASSERT_EQ(value == nullptr ? std::nullopt : std::optional(*value), key.value);
    const std::string* const brief = states.brief_value.value();
    const bool is_there = key.brief_value.has_value() && !is_expired(all, key.brief_value->at);
    ASSERT_EQ(brief != nullptr, is_there);
    ASSERT_TRUE(brief == nullptr || *brief == key.brief_value->value);
  }
  static void compare_lists(TypedStates<K>& states, const TypedKey& key, const Everything& all) {
    const std::vector<std::string>* const list = states.list.get();
    ASSERT_EQ(list == nullptr ? std::vector<std::string>() : *list, key.list);
    std::vector<std::int64_t> expected;
    for (const auto& element : key.brief_list) {
      if (!is_expired(all, element.at)) {
        expected.push_back(element.value);
      }
    }
    const std::vector<std::int64_t>* const brief = states.brief_list.get();
    ASSERT_EQ(brief == nullptr ? std::vector<std::int64_t>() : *brief, expected);
  }
  static void compare_maps(TypedStates<K>& states, const TypedKey& key, const Everything& all) {
    std::map<std::string, std::int64_t> map;
    states.map.for_each([&](const std::string& name, std::int64_t value) { map[name] = value; });
    ASSERT_EQ(map, key.map);
    ASSERT_EQ(states.map.empty(), key.map.empty());
    std::map<std::int64_t, std::string> expected;
    for (const auto& [number, entry] : key.brief_map) {
      if (!is_expired(all, entry.at)) {
        expected[number] = entry.value;
      }
    }
    std::map<std::int64_t, std::string> brief;
    states.brief_map.for_each(
        [&](std::int64_t number, const std::string& value) { brief[number] = value; });
    ASSERT_EQ(brief, expected);
  }
  static void compare_folded(TypedStates<K>& states, const TypedKey& key) {
    const std::int64_t* const total = states.total.get();
    ASSERT_EQ(total == nullptr ? std::nullopt : std::optional(*total), key.total);
    ASSERT_EQ(states.mean.get(), key.mean);
  }

  /// All keys, those that have nothing too.
  void compare(const std::vector<Subtask>& subtasks, const Everything& expected) {
    const auto count = static_cast<int>(subtasks.size());
    for (const Subtask& subtask : subtasks) {
      subtask.states->tell_time(0, expected.time);
    }
    for (std::uint64_t n = 0; n < keys_.size() && !::testing::Test::HasFatalFailure(); ++n) {
      const int group = key_group_of(key_hash(keys_[n]), Keeper::kMaxParallelism);
      const int s = subtask_of_key_group(group, Keeper::kMaxParallelism, count);
      TypedStates<K>& states = *subtasks[static_cast<std::size_t>(s)].states;
      states.set_key(keys_[n]);
      compare_values(states, expected.keys[n], expected);
      compare_lists(states, expected.keys[n], expected);
      compare_maps(states, expected.keys[n], expected);
      compare_folded(states, expected.keys[n]);
    }
  }
  /// And the timers, which are gone then.
  void compare_restored(const std::vector<Subtask>& subtasks, const Everything& expected) {
    compare(subtasks, expected);
    constexpr std::int64_t kEnd = kMaxTimestamp - 1;
    ASSERT_EQ(take_due(subtasks, &TimerService::event_time, kEnd), expected.event_timers);
    ASSERT_EQ(take_due(subtasks, &TimerService::processing_time, kEnd), expected.processing_timers);
  }

  std::vector<typename Keeper::Backend*> backends() const {
    std::vector<typename Keeper::Backend*> all;
    for (const Subtask& subtask : subtasks_) {
      all.push_back(subtask.backend.get());
    }
    return all;
  }
  void start_snapshot() {
    finish_snapshot();
    at_barrier_ = now_;
    keeper_.start(backends(), pick(4) != 0, pick(10) == 0 ? random_() : 0);
  }
  void finish_snapshot() {
    if (!at_barrier_.has_value()) {
      return;
    }
    std::optional<Stored> stored = keeper_.finish(backends());
    if (stored.has_value()) {
      last_ = {std::move(*stored), std::move(*at_barrier_)};
      compare_restored(make(static_cast<int>(pick(4)) + 1, &last_->first, false), last_->second);
    }
    at_barrier_.reset();
  }
  void abandon() {
    if (at_barrier_.has_value()) {
      keeper_.abandon(backends());
      at_barrier_.reset();
    }
  }
  /// After a crash: no snapshot is completed before.
  void restart() {
    if (!last_.has_value()) {
      return;
    }
    for (Subtask& subtask : subtasks_) {
      subtask.states.reset();
      subtask.backend.reset();
    }
    subtasks_.clear();
    keeper_.crash();
    at_barrier_.reset();
    open(static_cast<int>(pick(4)) + 1, &last_->first);
    now_ = last_->second;
    compare(subtasks_, now_);
  }

  std::mt19937_64 random_;
  Keeper keeper_;
  std::vector<K> keys_;  ///< by number
  std::map<K, std::uint64_t> numbers_;
  std::vector<Subtask> subtasks_;
  Everything now_;
  std::optional<Everything> at_barrier_;  ///< of the snapshot under way
  std::optional<std::pair<Stored, Everything>> last_;
  std::uint64_t operations_ = 0;
};

}  // namespace weir::state::test
