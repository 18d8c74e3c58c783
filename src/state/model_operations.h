#pragma once

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "state/test_support.h"
#include "weir/keyed_state.h"

/// Random operations on keyed state against std::map, whatever the backend.
namespace weir::state::test {

namespace model_types {
struct Sum {
  std::int64_t sum = 0;
  std::int64_t count = 0;
  friend bool operator==(const Sum&, const Sum&) = default;
};
/// A Sum as a later version of the job has it: in another order, and with a member more.
struct LaterSum {
  std::int64_t count = 0;
  std::int32_t version = 7;
  std::int64_t sum = 0;
  friend bool operator==(const LaterSum&, const LaterSum&) = default;
};
struct Point {
  std::uint64_t x = 0;
  std::uint64_t y = 0;
  friend auto operator<=>(const Point&, const Point&) = default;
};
struct Triple {
  std::uint16_t a = 0;
  std::uint16_t b = 0;
  std::uint16_t c = 0;
  friend auto operator<=>(const Triple&, const Triple&) = default;
};
}  // namespace model_types

using namespace model_types;

template <class K>
K make_key(std::uint64_t n) {
  if constexpr (std::is_integral_v<K>) {
    return static_cast<K>(n);
  } else if constexpr (std::is_same_v<K, std::string>) {
    return (n % 3 == 0 ? "" : "a key too long for the small buffer ") + std::to_string(n);
  } else if constexpr (std::is_same_v<K, Triple>) {
    return Triple{static_cast<std::uint16_t>(n), 7, static_cast<std::uint16_t>(n >> 3)};
  } else {
    return K{n, n / 2};
  }
}

inline void change(Sum& value, std::uint64_t n) {
  value.sum += static_cast<std::int64_t>(n);
  ++value.count;
}
inline void change(std::string& value, std::uint64_t n) {
  if (value.size() > 200) {
    value.clear();
  }
  value += std::to_string(n) + ",";
}
inline void change(std::vector<std::string>& value, std::uint64_t n) {
  value.resize(n % 5, "x");
  value.push_back(std::to_string(n));
}

/// What a later version of the job makes of a value.
inline LaterSum evolved(const Sum& value) { return {value.count, 7, value.sum}; }
inline std::optional<std::string> evolved(const std::string& value) { return value; }
template <class V>
concept Evolving = requires(const V& value) { evolved(value); };

/// WEIR_SEED=n: other operations.
inline std::uint64_t other_seed() {
  const char* text = std::getenv("WEIR_SEED");
  return text == nullptr ? 0 : 1000 * std::strtoull(text, nullptr, 10);
}

/// Subtasks with one state each that is changed, and one that never is, beside what they should
/// hold.
template <class Backend, class K, class V>
class ModelOperations {
 public:
  using Map = std::map<StateNamespace, std::map<K, V>>;
  std::uint64_t operations() const { return operations_; }

 protected:
  struct Subtask {
    std::unique_ptr<Backend> backend;
    StateTable* table = nullptr;
    StateTable* untouched = nullptr;
  };

  explicit ModelOperations(std::uint64_t seed) : random_(seed + other_seed()) {}

  std::uint64_t pick(std::uint64_t n) { return random_() % n; }
  template <class Value = V>
  static void open_states(Subtask& subtask) {
    subtask.table = value_or_fail(subtask.backend->open_table(describe<K, Value>("model")));
    subtask.untouched = value_or_fail(subtask.backend->open_table(describe<K, Value>("untouched")));
    EXPECT_TRUE(value_or_fail(subtask.backend->finish_restore()).empty());
  }

  /// Calls `one_step` so often, as long as nothing is wrong; false: something is.
  template <class Step>
  static bool run_steps(int steps, const Step& one_step) {
    for (int step = 0; step < steps; ++step) {
      one_step();
      if (::testing::Test::HasFailure()) {
        return false;
      }
    }
    return true;
  }
  /// What most steps do; `what` of 100. False: it is none of these.
  bool change_state(std::uint64_t what) {
    if (what < 50) {
      upsert(pick_namespace());
    } else if (what < 70) {
      for (int i = 0; i < 50; ++i) {
        single(pick_namespace(), make_key<K>(pick(keys_)));
      }
      column();
    } else if (what < 74) {
      drop(pick_namespace());
    } else {
      return false;
    }
    return true;
  }

  std::size_t owner(std::uint32_t hash) const {
    return static_cast<std::size_t>(subtask_of_key_group(key_group_of(hash, max_parallelism_),
                                                         max_parallelism_,
                                                         static_cast<int>(subtasks_.size())));
  }
  StateNamespace pick_namespace() { return static_cast<StateNamespace>(pick(5)) * 1000 - 1000; }

  void drop(StateNamespace ns) {
    for (Subtask& subtask : subtasks_) {
      subtask.table->drop_namespace(ns);
    }
    model_.erase(ns);
  }

  /// The keys of a batch that belong to one subtask.
  struct Column {
    std::vector<K> keys;
    std::vector<std::uint32_t> hashes;
    KeyColumn view() const {
      return {reinterpret_cast<const std::byte*>(keys.data()), sizeof(K), hashes.data(),
              keys.size()};
    }
  };
  std::vector<Column> draw_columns(std::uint64_t count_max) {
    // Skewed, so that keys repeat inside a batch and tables also fill up.
    const std::uint64_t range = pick(3) == 0 ? keys_ : std::max<std::uint64_t>(1, keys_ / 64);
    std::vector<Column> columns(subtasks_.size());
    for (std::uint64_t i = pick(count_max) + 1; i > 0; --i) {
      const K key = make_key<K>(pick(range));
      const std::uint32_t hash = key_hash(key);
      columns[owner(hash)].keys.push_back(key);
      columns[owner(hash)].hashes.push_back(hash);
    }
    return columns;
  }

  /// As an operator works on a batch: its keys are prefetched, then asked for in order, some
  /// several times, some not; other keys and changes come between.
  void column() {
    const StateNamespace ns = pick_namespace();
    const std::vector<Column> columns = draw_columns(200);
    for (std::size_t s = 0; s < subtasks_.size(); ++s) {
      subtasks_[s].table->prefetch(ns, columns[s].view());
      for (std::size_t i = 0; i < columns[s].keys.size(); ++i) {
        for (std::uint64_t times = pick(3); times > 0; --times) {
          if (pick(8) == 0) {
            single(pick_namespace(), columns[s].keys[i]);
          } else {
            single(ns, columns[s].keys[i], i);
          }
        }
        if (pick(8) == 0) {
          single(pick_namespace(), make_key<K>(pick(keys_)));
        }
        if (pick(400) == 0) {
          drop(pick_namespace());
        }
      }
    }
  }

  void upsert(StateNamespace ns) {
    const std::vector<Column> columns = draw_columns(1024);
    for (std::size_t s = 0; s < subtasks_.size(); ++s) {
      std::vector<void*> values(columns[s].keys.size());
      subtasks_[s].table->upsert(ns, columns[s].view(), values.data());
      for (std::size_t i = 0; i < values.size(); ++i, ++operations_) {
        V& expected = model_[ns][columns[s].keys[i]];
        V& actual = *static_cast<V*>(values[i]);
        ASSERT_EQ(actual, expected);
        change(actual, operations_);
        change(expected, operations_);
      }
    }
  }

  /// One of the calls, as state handles make them; `index`: of the key in the prefetched column.
  void single(StateNamespace ns, const K& key,
              std::size_t index = detail::CurrentKey::kNotInColumn) {
    ++operations_;
    const std::uint32_t hash = key_hash(key);
    StateTable& table = *subtasks_[owner(hash)].table;
    const auto or_else = [](auto* prefetched, auto&& ask) {
      return prefetched != nullptr ? prefetched : ask();
    };
    const auto space = model_.find(ns);
    const bool is_there = space != model_.end() && space->second.contains(key);
    switch (pick(5)) {
      case 0: {
        const void* value =
            or_else(table.prefetched(index), [&] { return table.find(ns, &key, hash); });
        ASSERT_EQ(value != nullptr, is_there);
        if (is_there) {
          ASSERT_EQ(*static_cast<const V*>(value), model_[ns][key]);
        }
        break;
      }
      case 1: {
        void* value = or_else(table.prefetched_for_update(index),
                              [&] { return table.find_for_update(ns, &key, hash); });
        ASSERT_EQ(value != nullptr, is_there);
        if (is_there) {
          change(*static_cast<V*>(value), operations_);
          change(model_[ns][key], operations_);
        }
        break;
      }
      case 2:
        change(*static_cast<V*>(or_else(table.prefetched_for_update(index),
                                        [&] { return table.find_or_create(ns, &key, hash); })),
               operations_);
        change(model_[ns][key], operations_);
        break;
      default:
        ASSERT_EQ(table.erase(ns, &key, hash), is_there);
        if (is_there) {
          space->second.erase(key);
        }
    }
  }

  template <class Value = V, class Subtasks>
  static void compare(const Subtasks& subtasks,
                      const std::map<StateNamespace, std::map<K, Value>>& model) {
    std::map<StateNamespace, std::map<K, Value>> found;
    for (const auto& subtask : subtasks) {
      for (const StateNamespace ns : subtask.table->namespaces()) {
        std::size_t count = 0;
        subtask.table->for_each(ns, [&](const void* key, std::uint32_t hash, const void* value) {
          const K& typed = *static_cast<const K*>(key);
          ASSERT_EQ(hash, key_hash(typed));
          ASSERT_TRUE(found[ns].emplace(typed, *static_cast<const Value*>(value)).second);
          ++count;
        });
        ASSERT_EQ(count, subtask.table->size(ns));
      }
      ASSERT_TRUE(subtask.untouched->namespaces().empty());
    }
    auto expected = model;
    std::erase_if(expected, [](const auto& space) { return space.second.empty(); });
    ASSERT_TRUE(found == expected);
  }

  /// compare(), and what the backends count.
  static void compare_restored(const std::vector<Subtask>& restored, const Map& model) {
    std::uint64_t restored_entries = 0;
    for (const Subtask& subtask : restored) {
      restored_entries += subtask.backend->entry_count();
    }
    std::uint64_t entries = 0;
    for (const auto& [ns, space] : model) {
      entries += space.size();
    }
    ASSERT_EQ(restored_entries, entries);
    compare(restored, model);
  }

  /// Now and then: what a later version of the job finds; `restore.template operator()<Value>()`
  /// makes subtasks whose values are of that type.
  template <class Restore>
  void compare_evolved(const Map& model, const Restore& restore) {
    if constexpr (Evolving<V>) {
      if (pick(4) != 0) {
        return;
      }
      using Later = decltype(evolved(std::declval<const V&>()));
      std::map<StateNamespace, std::map<K, Later>> later;
      for (const auto& [ns, space] : model) {
        for (const auto& [key, value] : space) {
          later[ns].emplace(key, evolved(value));
        }
      }
      compare<Later>(restore.template operator()<Later>(), later);
      ++evolutions_;
    }
  }
  int evolutions() const { return evolutions_; }

  std::mt19937_64 random_;
  int evolutions_ = 0;
  int max_parallelism_ = 128;
  std::uint64_t keys_ = 1;
  std::vector<Subtask> subtasks_;
  Map model_;
  std::uint64_t operations_ = 0;
};

#if defined(__SANITIZE_ADDRESS__) || (defined(__clang__) && !defined(__OPTIMIZE__))
inline constexpr int kSteps = 150;
inline constexpr std::uint64_t kOperations = 100'000;
#else
inline constexpr int kSteps = 700;
inline constexpr std::uint64_t kOperations = 1'000'000;
#endif

/// Runs models until they have done kOperations; `run_one(seed)` says how many one has done.
template <class RunOne>
void run_operations(const RunOne& run_one) {
  std::uint64_t operations = 0;
  for (std::uint64_t seed = 100; operations < kOperations; ++seed) {
    operations += run_one(seed);
    ASSERT_FALSE(::testing::Test::HasFailure()) << "seed " << seed;
  }
}

}  // namespace weir::state::test
