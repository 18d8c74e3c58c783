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

#include "state/model_types.h"
#include "state/test_support.h"
#include "weir/keyed_state.h"

/// Random operations on keyed state against std::map, whatever the backend.
namespace weir::state::test {

/// WEIR_SEED=n: other operations.
inline std::uint64_t other_seed() {
  const char* text = std::getenv("WEIR_SEED");
  return text == nullptr ? 0 : 1000 * std::strtoull(text, nullptr, 10);
}

/// What the states of an operator should hold.
template <class K, class V>
struct Contents {
  template <class Value>
  using MapOf = std::map<StateNamespace, std::map<K, Value>>;
  MapOf<V> changed;
  MapOf<V> untouched;             ///< is written once and never again
  MapOf<std::uint64_t> sleeping;  ///< the same, and not even every job opens it
  std::uint64_t entries_of(bool with_sleeping) const {
    return count(changed) + count(untouched) + (with_sleeping ? count(sleeping) : 0);
  }

 private:
  template <class Value>
  static std::uint64_t count(const MapOf<Value>& map) {
    std::uint64_t entries = 0;
    for (const auto& [ns, space] : map) {
      entries += space.size();
    }
    return entries;
  }
};

/// What a later version of the job makes of them.
template <class K, class V>
auto evolved(const Contents<K, V>& contents) {
  using Later = decltype(evolved(std::declval<const V&>()));
  const auto all = [](const auto& map) {
    typename Contents<K, Later>::template MapOf<Later> later;
    for (const auto& [ns, space] : map) {
      for (const auto& [key, value] : space) {
        later[ns].emplace(key, evolved(value));
      }
    }
    return later;
  };
  return Contents<K, Later>{all(contents.changed), all(contents.untouched), contents.sleeping};
}

/// Subtasks with a state each that is changed and others that are not, beside what they should
/// hold.
template <class Backend, class K, class V>
class ModelOperations {
 public:
  using Map = std::map<StateNamespace, std::map<K, V>>;
  using Expected = Contents<K, V>;
  std::uint64_t operations() const { return operations_; }

 protected:
  struct Subtask {
    std::unique_ptr<Backend> backend;
    StateTable* table = nullptr;
    StateTable* untouched = nullptr;
    StateTable* sleeping = nullptr;  ///< null: this job does not open it
  };

  explicit ModelOperations(std::uint64_t seed) : random_(seed + other_seed()) {}
  virtual ~ModelOperations() = default;
  /// A barrier comes, even between two keys of a batch.
  virtual void barrier() = 0;

  std::uint64_t pick(std::uint64_t n) { return random_() % n; }
  static void open_states(Subtask& subtask, bool opens_all) {
    subtask.table = value_or_fail(subtask.backend->open_table(describe<K, V>("model")));
    subtask.untouched = value_or_fail(subtask.backend->open_table(describe<K, V>("untouched")));
    if (opens_all) {
      subtask.sleeping =
          value_or_fail(subtask.backend->open_table(describe<K, std::uint64_t>("sleeping")));
    }
    for (const std::string& left : value_or_fail(subtask.backend->finish_restore())) {
      EXPECT_TRUE(left == "sleeping" && !opens_all) << left;
    }
  }

  /// What is there from the beginning, of the states that stay as they are.
  void fill_untouched() {
    constexpr std::uint64_t kEntries = 200;
    for (std::uint64_t i = 0; i < kEntries; ++i) {
      const StateNamespace ns = pick_namespace();
      const K key = make_key<K>(pick(keys_));
      Subtask& subtask = subtasks_[owner(key_hash(key))];
      V value{};
      change(value, i);
      put(*subtask.untouched, ns, key, value);
      model_.untouched[ns][key] = value;
      put(*subtask.sleeping, ns, key, i);
      model_.sleeping[ns][key] = i;
    }
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
    return !::testing::Test::HasFailure();
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
    model_.changed.erase(ns);
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
    // An entry that is erased ends what the prefetch has found, of the other keys too.
    erases_ = pick(2) == 0;
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
        if (pick(1'000) == 0) {
          barrier();
        }
      }
    }
    erases_ = true;
  }

  void upsert(StateNamespace ns) {
    const std::vector<Column> columns = draw_columns(1024);
    for (std::size_t s = 0; s < subtasks_.size(); ++s) {
      std::vector<void*> values(columns[s].keys.size());
      subtasks_[s].table->upsert(ns, columns[s].view(), values.data());
      for (std::size_t i = 0; i < values.size(); ++i, ++operations_) {
        V& expected = model_.changed[ns][columns[s].keys[i]];
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
    const auto space = model_.changed.find(ns);
    const bool is_there = space != model_.changed.end() && space->second.contains(key);
    switch (pick(erases_ ? 5 : 3)) {
      case 0: {
        const void* value =
            or_else(table.prefetched(index), [&] { return table.find(ns, &key, hash); });
        ASSERT_EQ(value != nullptr, is_there);
        if (is_there) {
          ASSERT_EQ(*static_cast<const V*>(value), model_.changed[ns][key]);
        }
        break;
      }
      case 1: {
        void* value = or_else(table.prefetched_for_update(index),
                              [&] { return table.find_for_update(ns, &key, hash); });
        ASSERT_EQ(value != nullptr, is_there);
        if (is_there) {
          change(*static_cast<V*>(value), operations_);
          change(model_.changed[ns][key], operations_);
        }
        break;
      }
      case 2:
        change(*static_cast<V*>(or_else(table.prefetched_for_update(index),
                                        [&] { return table.find_or_create(ns, &key, hash); })),
               operations_);
        change(model_.changed[ns][key], operations_);
        break;
      default:
        ASSERT_EQ(table.erase(ns, &key, hash), is_there);
        if (is_there) {
          space->second.erase(key);
        }
    }
  }

  /// Of all subtasks together, through `table_of(subtask)`.
  template <class Value, class TableOf>
  static void compare_tables(const std::vector<Subtask>& subtasks, const TableOf& table_of,
                             typename Expected::template MapOf<Value> expected) {
    std::map<StateNamespace, std::map<K, Value>> found;
    for (const Subtask& subtask : subtasks) {
      StateTable& table = *table_of(subtask);
      for (const StateNamespace ns : table.namespaces()) {
        std::size_t count = 0;
        table.for_each(ns, [&](const void* key, std::uint32_t hash, const void* value) {
          const K& typed = *static_cast<const K*>(key);
          ASSERT_EQ(hash, key_hash(typed));
          ASSERT_TRUE(found[ns].emplace(typed, *static_cast<const Value*>(value)).second);
          ++count;
        });
        ASSERT_EQ(count, table.size(ns));
      }
    }
    std::erase_if(expected, [](const auto& space) { return space.second.empty(); });
    ASSERT_TRUE(found == expected);
  }

  static void compare(const std::vector<Subtask>& subtasks, const Expected& expected) {
    compare_tables<V>(subtasks, [](const Subtask& each) { return each.table; }, expected.changed);
    compare_tables<V>(
        subtasks, [](const Subtask& each) { return each.untouched; }, expected.untouched);
    if (subtasks.front().sleeping != nullptr) {
      compare_tables<std::uint64_t>(
          subtasks, [](const Subtask& each) { return each.sleeping; }, expected.sleeping);
    }
  }

  /// compare(), and what the backends count.
  static void compare_restored(const std::vector<Subtask>& restored, const Expected& expected) {
    std::uint64_t entries = 0;
    for (const Subtask& subtask : restored) {
      entries += subtask.backend->entry_count();
    }
    ASSERT_EQ(entries, expected.entries_of(restored.front().sleeping != nullptr));
    compare(restored, expected);
  }

  std::mt19937_64 random_;
  bool erases_ = true;
  int max_parallelism_ = 128;
  std::uint64_t keys_ = 1;
  std::vector<Subtask> subtasks_;
  Expected model_;
  std::uint64_t operations_ = 0;
};

#if defined(__SANITIZE_ADDRESS__) || (defined(__clang__) && !defined(__OPTIMIZE__))
inline constexpr int kSteps = 150;
inline constexpr std::uint64_t kOperations = 100'000;
#else
inline constexpr int kSteps = 700;
inline constexpr std::uint64_t kOperations = 1'000'000;
#endif

/// A model of a later version of the job takes over from `model`, and so on. Returns the operations
/// of all of them.
template <template <class, class> class Model, class K, class V>
std::uint64_t run_later_versions(Model<K, V>& model, int steps) {
  if constexpr (Evolving<V>) {
    using Later = decltype(evolved(std::declval<const V&>()));
    Model<K, Later> later(model);
    later.go_on(steps);
    return ::testing::Test::HasFailure() ? 0 : run_later_versions(later, steps);
  }
  return model.operations();
}

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
