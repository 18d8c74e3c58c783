// Random operations, snapshots in slices, whole ones and chains of deltas, some of which are never
// confirmed, and restores into other parallelisms, against std::map.

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

namespace weir::state::test {

// Outside the unnamed namespace: clang warns of reflected types that have internal linkage.
namespace model_types {
struct Sum {
  std::int64_t sum = 0;
  std::int64_t count = 0;
  friend bool operator==(const Sum&, const Sum&) = default;
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

namespace {

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

void change(Sum& value, std::uint64_t n) {
  value.sum += static_cast<std::int64_t>(n);
  ++value.count;
}
void change(std::string& value, std::uint64_t n) {
  if (value.size() > 200) {
    value.clear();
  }
  value += std::to_string(n) + ",";
}
void change(std::vector<std::string>& value, std::uint64_t n) {
  value.resize(n % 5, "x");
  value.push_back(std::to_string(n));
}

std::uint64_t other_seed() {
  const char* text = std::getenv("WEIR_SEED");
  return text == nullptr ? 0 : 1000 * std::strtoull(text, nullptr, 10);
}

template <class K, class V>
class Model {
 public:
  using Map = std::map<StateNamespace, std::map<K, V>>;

  /// WEIR_SEED=n: other operations.
  explicit Model(std::uint64_t seed, bool is_incremental = false)
      : random_(seed + other_seed()), is_incremental_(is_incremental) {}

  void run(int steps, std::uint64_t keys, int max_parallelism) {
    max_parallelism_ = max_parallelism;
    keys_ = keys;
    open({}, 1);
    for (int step = 0; step < steps; ++step) {
      one_step();
      if (::testing::Test::HasFailure()) {
        return;
      }
    }
    finish_snapshot();
    compare(subtasks_, model_);
  }
  std::uint64_t operations() const { return operations_; }
  int deltas() const { return deltas_; }
  int left_out() const { return left_out_; }

 private:
  struct Link {
    RestoreFile file;
    KeyGroupRange whole;
  };
  using Chain = std::vector<Link>;
  struct Subtask {
    std::unique_ptr<HeapBackend> backend;
    StateTable* table;
    StateTable* untouched;
  };

  std::uint64_t pick(std::uint64_t n) { return random_() % n; }

  void open(const std::vector<RestoreFile>& files, int parallelism) {
    subtasks_ = make(files, parallelism, built_on_);
    chains_.resize(subtasks_.size());
  }

  std::vector<Subtask> make(const std::vector<RestoreFile>& files, int parallelism,
                            CheckpointId built_on = 0) {
    std::vector<Subtask> result;
    for (int i = 0; i < parallelism; ++i) {
      Subtask subtask;
      subtask.backend = std::make_unique<HeapBackend>(HeapBackend::Options{
          "model", max_parallelism_, key_groups_of_subtask(i, max_parallelism_, parallelism),
          kSplitEntries, is_incremental_});
      if (!files.empty()) {
        const Status status = subtask.backend->restore(local_file_system(), files);
        EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().message);
      }
      if (built_on != 0) {
        subtask.backend->build_on_restored(built_on);
      }
      subtask.table = value_or_fail(subtask.backend->open_table(describe<K, V>("model")));
      subtask.untouched = value_or_fail(subtask.backend->open_table(describe<K, V>("untouched")));
      EXPECT_TRUE(value_or_fail(subtask.backend->finish_restore()).empty());
      result.push_back(std::move(subtask));
    }
    return result;
  }

  /// So few that some namespaces split and others do not.
  static constexpr std::uint32_t kSplitEntries = 1000;

  std::size_t owner(std::uint32_t hash) const {
    return static_cast<std::size_t>(subtask_of_key_group(key_group_of(hash, max_parallelism_),
                                                         max_parallelism_,
                                                         static_cast<int>(subtasks_.size())));
  }
  StateNamespace pick_namespace() { return static_cast<StateNamespace>(pick(5)) * 1000 - 1000; }

  void one_step() {
    const std::uint64_t what = pick(100);
    if (what < 50) {
      upsert(pick_namespace());
    } else if (what < 70) {
      for (int i = 0; i < 100; ++i) {
        single(pick_namespace());
      }
    } else if (what < 74) {
      const StateNamespace ns = pick_namespace();
      for (Subtask& subtask : subtasks_) {
        subtask.table->drop_namespace(ns);
      }
      model_.erase(ns);
    } else if (what < 78) {
      start_snapshot();
    } else if (what < 98) {
      slices();
    } else if (what < 99) {
      finish_snapshot();
    } else {
      rescale();
    }
  }

  void upsert(StateNamespace ns) {
    // Skewed, so that keys repeat inside a batch and tables also fill up.
    const std::uint64_t range = pick(3) == 0 ? keys_ : std::max<std::uint64_t>(1, keys_ / 64);
    std::vector<std::vector<K>> keys(subtasks_.size());
    std::vector<std::vector<std::uint32_t>> hashes(subtasks_.size());
    for (std::uint64_t i = pick(1024) + 1; i > 0; --i) {
      const K key = make_key<K>(pick(range));
      const std::uint32_t hash = key_hash(key);
      keys[owner(hash)].push_back(key);
      hashes[owner(hash)].push_back(hash);
    }
    for (std::size_t s = 0; s < subtasks_.size(); ++s) {
      std::vector<void*> values(keys[s].size());
      subtasks_[s].table->upsert(ns,
                                 {reinterpret_cast<const std::byte*>(keys[s].data()), sizeof(K),
                                  hashes[s].data(), keys[s].size()},
                                 values.data());
      for (std::size_t i = 0; i < values.size(); ++i, ++operations_) {
        V& expected = model_[ns][keys[s][i]];
        V& actual = *static_cast<V*>(values[i]);
        ASSERT_EQ(actual, expected);
        change(actual, operations_);
        change(expected, operations_);
      }
    }
  }

  void single(StateNamespace ns) {
    ++operations_;
    const K key = make_key<K>(pick(keys_));
    const std::uint32_t hash = key_hash(key);
    StateTable& table = *subtasks_[owner(hash)].table;
    const auto space = model_.find(ns);
    const bool is_there = space != model_.end() && space->second.contains(key);
    switch (pick(5)) {
      case 0: {
        const void* value = table.find(ns, &key, hash);
        ASSERT_EQ(value != nullptr, is_there);
        if (is_there) {
          ASSERT_EQ(*static_cast<const V*>(value), model_[ns][key]);
        }
        break;
      }
      case 1: {
        void* value = table.find_for_update(ns, &key, hash);
        ASSERT_EQ(value != nullptr, is_there);
        if (is_there) {
          change(*static_cast<V*>(value), operations_);
          change(model_[ns][key], operations_);
        }
        break;
      }
      case 2:
        change(*static_cast<V*>(table.find_or_create(ns, &key, hash)), operations_);
        change(model_[ns][key], operations_);
        break;
      default:
        ASSERT_EQ(table.erase(ns, &key, hash), is_there);
        if (is_there) {
          space->second.erase(key);
        }
    }
  }

  void start_snapshot() {
    finish_snapshot();
    barrier_model_ = model_;
    ++checkpoint_;
    since_ = is_incremental_ && pick(5) != 0 ? built_on_ : 0;
    base_chains_ = chains_;
    whole_.clear();
    deltas_ += since_ != 0 ? 1 : 0;
    for (std::size_t s = 0; s < subtasks_.size(); ++s) {
      pending_.push_back(std::make_unique<PendingSnapshot>(
          local_file_system(), directory_.file("s" + std::to_string(next_file_++)),
          std::size_t{1} << 16));
      subtasks_[s].backend->start_snapshot(pending_.back()->sink, checkpoint_, since_,
                                           whole_.emplace_back(pick_whole(s)));
    }
  }

  void slices() {
    confirm(pick(3) == 0);
    for (std::size_t s = 0; s < pending_.size(); ++s) {
      for (std::uint64_t i = pick(4); i > 0; --i) {
        subtasks_[s].backend->copy_slice(pick(500) + 1);
      }
      if (pick(2) == 0) {
        pending_[s]->executor.run_all();
      }
    }
  }

  /// Completes the running snapshot and checks that it holds the model of its barrier.
  void finish_snapshot() {
    if (pending_.empty()) {
      return;
    }
    std::vector<Chain> chains(subtasks_.size());
    for (std::size_t s = 0; s < pending_.size(); ++s) {
      while (subtasks_[s].backend->copy_slice(1000) != HeapBackend::CopyProgress::kDone) {
        pending_[s]->executor.run_all();
      }
      pending_[s]->executor.run_all();
      ASSERT_TRUE(pending_[s]->result.has_value());
      ASSERT_TRUE(pending_[s]->result->ok()) << pending_[s]->result->error().message;
      if (since_ != 0) {
        chains[s] = base_chains_[s];
      }
      chains[s].push_back({pending_[s]->restore_file(), whole_[s]});
      leave_out(chains[s], own_key_groups(s));
    }
    std::vector<RestoreFile> files;
    for (const Chain& chain : chains) {
      for (const Link& link : chain) {
        files.push_back(link.file);
      }
    }
    pending_.clear();
    unconfirmed_.reset();
    if (is_incremental_ && pick(3) != 0) {
      unconfirmed_ = Confirmation{checkpoint_, chains};
      confirm(pick(2) == 0);
    }
    restored_chains_ = std::move(chains);
    files_ = files;
    std::uint64_t entries = 0;
    for (const auto& [ns, space] : barrier_model_) {
      entries += space.size();
    }
    const std::vector<Subtask> restored = make(files, static_cast<int>(pick(4)) + 1);
    std::uint64_t restored_entries = 0;
    for (const Subtask& subtask : restored) {
      restored_entries += subtask.backend->entry_count();
    }
    ASSERT_EQ(restored_entries, entries);
    compare(restored, barrier_model_);
  }

  KeyGroupRange own_key_groups(std::size_t subtask) const {
    return key_groups_of_subtask(static_cast<int>(subtask), max_parallelism_,
                                 static_cast<int>(subtasks_.size()));
  }
  /// The key groups to be written whole: all in a base, else mostly none or a few.
  KeyGroupRange pick_whole(std::size_t subtask) {
    const KeyGroupRange own = own_key_groups(subtask);
    if (since_ == 0) {
      return own;
    }
    const auto size = static_cast<std::uint64_t>(own.size());
    if (size == 0 || pick(3) == 0) {
      return {};
    }
    if (pick(4) == 0) {
      return own;  // A delta all the same, but none of the files before it is needed.
    }
    const int first = own.first + static_cast<int>(pick(size));
    return {first, std::min(own.last, first + static_cast<int>(pick(size)))};
  }
  /// Takes those from the front that later files are whole instead of.
  void leave_out(Chain& chain, KeyGroupRange own) {
    const auto is_renewed = [&](int group) {
      return std::any_of(chain.begin() + 1, chain.end(),
                         [&](const Link& link) { return link.whole.contains(group); });
    };
    for (;;) {
      for (int group = own.first; group <= own.last; ++group) {
        if (chain.front().whole.contains(group) && !is_renewed(group)) {
          return;
        }
      }
      if (chain.size() == 1) {
        return;
      }
      chain.erase(chain.begin());
      ++left_out_;
    }
  }

  /// The last checkpoint is known to be complete, now or while the next is copied; or never, and
  /// nothing builds on it.
  void confirm(bool is_now) {
    if (!is_now || !unconfirmed_.has_value()) {
      return;
    }
    built_on_ = unconfirmed_->checkpoint;
    chains_ = std::move(unconfirmed_->chains);
    unconfirmed_.reset();
    for (Subtask& subtask : subtasks_) {
      subtask.backend->forget_before(built_on_);
    }
  }

  /// Goes on from the last snapshot with another parallelism, as after a crash.
  void rescale() {
    finish_snapshot();
    if (!files_.empty() && !::testing::Test::HasFailure()) {
      const int parallelism = static_cast<int>(pick(4)) + 1;
      const bool goes_on =
          is_incremental_ && parallelism == static_cast<int>(restored_chains_.size());
      unconfirmed_.reset();
      built_on_ = goes_on ? checkpoint_ : 0;
      chains_ = goes_on ? restored_chains_ : std::vector<Chain>();
      open(files_, parallelism);
      model_ = barrier_model_;
    }
  }

  void compare(const std::vector<Subtask>& subtasks, const Map& model) {
    Map found;
    for (const Subtask& subtask : subtasks) {
      for (const StateNamespace ns : subtask.table->namespaces()) {
        std::size_t count = 0;
        subtask.table->for_each(ns, [&](const void* key, std::uint32_t hash, const void* value) {
          const K& typed = *static_cast<const K*>(key);
          ASSERT_EQ(hash, key_hash(typed));
          ASSERT_TRUE(found[ns].emplace(typed, *static_cast<const V*>(value)).second);
          ++count;
        });
        ASSERT_EQ(count, subtask.table->size(ns));
      }
      ASSERT_TRUE(subtask.untouched->namespaces().empty());
    }
    Map expected = model;
    std::erase_if(expected, [](const auto& space) { return space.second.empty(); });
    ASSERT_TRUE(found == expected);
  }

  std::mt19937_64 random_;
  const bool is_incremental_;
  CheckpointId checkpoint_ = 0;  ///< of the last snapshot
  CheckpointId since_ = 0;       ///< what it builds on
  CheckpointId built_on_ = 0;    ///< the last one that was confirmed
  int deltas_ = 0;
  std::vector<Chain> chains_;         ///< of built_on_, by subtask
  std::vector<Chain> base_chains_;    ///< of since_
  std::vector<KeyGroupRange> whole_;  ///< of the running snapshot
  int left_out_ = 0;
  struct Confirmation {
    CheckpointId checkpoint;
    std::vector<Chain> chains;
  };
  std::optional<Confirmation> unconfirmed_;
  std::vector<Chain> restored_chains_;  ///< of files_
  TemporaryDirectory directory_;
  int max_parallelism_ = 128;
  std::uint64_t keys_ = 1;
  std::vector<Subtask> subtasks_;
  Map model_;
  Map barrier_model_;
  std::vector<std::unique_ptr<PendingSnapshot>> pending_;
  std::vector<RestoreFile> files_;
  int next_file_ = 0;
  std::uint64_t operations_ = 0;
};

#if defined(__SANITIZE_ADDRESS__) || (defined(__clang__) && !defined(__OPTIMIZE__))
constexpr int kSteps = 150;
#else
constexpr int kSteps = 700;
#endif

TEST(HeapBackendModel, EightByteKeysWithPlainValues) {
  Model<std::uint64_t, Sum> model(1);
  model.run(kSteps, 20'000, 128);
  EXPECT_GT(model.operations(), 10'000U);
}
TEST(HeapBackendModel, FewKeysStayInOneTable) {
  Model<std::int32_t, Sum> model(2);
  model.run(kSteps, 300, 128);
}
TEST(HeapBackendModel, OddMaxParallelism) {
  Model<std::uint64_t, std::string> model(3);
  model.run(kSteps, 8'000, 37);
}
TEST(HeapBackendModel, StringKeysWithLists) {
  Model<std::string, std::vector<std::string>> model(4);
  model.run(kSteps / 2, 10'000, 128);
}
TEST(HeapBackendModel, SixteenByteKeys) {
  Model<Point, Sum> model(5);
  model.run(kSteps, 12'000, 16);
}
TEST(HeapBackendModel, SixByteKeys) {
  Model<Triple, std::string> model(6);
  model.run(kSteps / 2, 5'000, 8);
}

TEST(HeapBackendModel, DeltasOfEightByteKeys) {
  Model<std::uint64_t, Sum> model(11, true);
  model.run(2 * kSteps, 20'000, 128);
  EXPECT_GT(model.deltas(), kSteps / 50);
  EXPECT_GT(model.left_out(), 0);
}
TEST(HeapBackendModel, DeltasOfFewKeysInOneTable) {
  Model<std::int32_t, Sum> model(12, true);
  model.run(2 * kSteps, 300, 128);
}
TEST(HeapBackendModel, DeltasWithAnOddMaxParallelism) {
  Model<std::uint64_t, std::string> model(13, true);
  model.run(2 * kSteps, 8'000, 37);
}
TEST(HeapBackendModel, DeltasOfStringKeysWithLists) {
  Model<std::string, std::vector<std::string>> model(14, true);
  model.run(kSteps, 10'000, 128);
}
TEST(HeapBackendModel, DeltasOfSixByteKeys) {
  Model<Triple, std::string> model(16, true);
  model.run(kSteps, 5'000, 8);
}

}  // namespace
}  // namespace weir::state::test
