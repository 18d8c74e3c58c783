#include "state_processor/keyed_state_reader.h"

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <tuple>
#include <utility>

#include <gmock/gmock.h>

#include "state/test_support.h"

namespace weir::state_processor {
namespace {

using state::HeapBackend;
using namespace state::test;
using ::testing::HasSubstr;

constexpr int kMaxParallelism = 16;

/// Two subtasks that keep incremental checkpoints, and a map that does what they do.
class KeyedStateReaderTest : public ::testing::Test {
 protected:
  struct Subtask {
    KeyGroupRange key_groups;
    HeapBackend backend;
    StateTable* table;
    TimerQueue* timers;
    std::vector<checkpoint::StateHandle> files;

    explicit Subtask(KeyGroupRange range) : key_groups(range), backend(options(range)) {
      table = value_or_fail(backend.open_table(describe<std::uint64_t, std::string>("names")));
      timers = value_or_fail(backend.open_timers("timers", type_ops<std::uint64_t>()));
    }
    static HeapBackend::Options options(KeyGroupRange range) {
      HeapBackend::Options options{"op", kMaxParallelism, range};
      options.is_incremental = true;
      return options;
    }
  };

  Subtask& owner_of(std::uint64_t key) {
    const int group = key_group_of(key_hash(key), kMaxParallelism);
    return subtasks_[subtasks_[0].key_groups.contains(group) ? 0 : 1];
  }
  void change(std::mt19937& random) {
    const std::uint64_t key = random() % 200;
    const StateNamespace ns = static_cast<StateNamespace>(random() % 3);
    Subtask& owner = owner_of(key);
    switch (random() % 50) {
      case 0:
        for (Subtask& subtask : subtasks_) {
          subtask.table->drop_namespace(ns);
        }
        std::erase_if(model_, [ns](const auto& entry) { return entry.first.first == ns; });
        return;
      case 1:
      case 2:
      case 3:
      case 4:
      case 5:
        owner.table->erase(ns, &key, key_hash(key));
        model_.erase({ns, key});
        return;
      default:
        const std::string value = std::to_string(random());
        put(*owner.table, ns, key, value);
        model_[{ns, key}] = value;
    }
  }
  void take_checkpoint(CheckpointId checkpoint) {
    for (Subtask& subtask : subtasks_) {
      const std::string name =
          "s" + std::to_string(subtask.key_groups.first) + "-" + std::to_string(checkpoint);
      const state::RestoreFile file =
          take_snapshot(subtask.backend, local_file_system(), directory_.file(name), checkpoint,
                        subtask.files.empty() ? 0 : checkpoint - 1);
      subtask.files.push_back({{name, file.expected.length_bytes, file.expected.crc32c},
                               "heap",
                               subtask.key_groups,
                               ""});
    }
  }
  checkpoint::LoadedSnapshot snapshot() const {
    checkpoint::LoadedSnapshot snapshot;
    snapshot.location.root = directory_.file("");
    checkpoint::OperatorSnapshot op;
    op.uid = "op";
    op.max_parallelism = kMaxParallelism;
    for (int i = 0; i < 2; ++i) {
      checkpoint::SubtaskSnapshot subtask;
      subtask.subtask = i;
      subtask.files = subtasks_[i].files;
      op.subtasks.push_back(subtask);
    }
    snapshot.manifest.operators.push_back(op);
    return snapshot;
  }
  KeyedStateReader open() const {
    return value_or_fail(KeyedStateReader::open(local_file_system(), snapshot(), "op"));
  }

  using Model = std::map<std::pair<StateNamespace, std::uint64_t>, std::string>;
  /// What is read, after a look at its order.
  static Model read(const KeyedStateReader& reader, KeyGroupRange key_groups,
                    std::size_t memory_bytes_max) {
    Model found;
    std::tuple<int, StateNamespace, std::string> last{-1, 0, ""};
    const Status status = reader.read(
        *reader.find("names").value(), key_groups,
        [&](const StoredEntry& entry) -> Status {
          std::tuple<int, StateNamespace, std::string> here{entry.key_group, entry.ns, entry.key};
          EXPECT_LT(last, here);
          EXPECT_TRUE(key_groups.contains(entry.key_group));
          last = std::move(here);
          const std::uint64_t key = decode_value<std::uint64_t>(entry.key).value();
          const std::string value = decode_value<std::string>(entry.value).value();
          EXPECT_EQ(entry.hash, key_hash(key));
          EXPECT_TRUE(found.emplace(std::pair(entry.ns, key), value).second);
          return {};
        },
        memory_bytes_max);
    EXPECT_TRUE(status.ok()) << status.error().message;
    return found;
  }

  TemporaryDirectory directory_;
  Subtask subtasks_[2] = {Subtask({0, 7}), Subtask({8, 15})};
  Model model_;
};

TEST_F(KeyedStateReaderTest, PutsChainsTogetherEntryByEntry) {
  std::mt19937 random(1);
  for (CheckpointId checkpoint = 1; checkpoint <= 8; ++checkpoint) {
    for (int i = 0; i < 300; ++i) {
      change(random);
    }
    take_checkpoint(checkpoint);
    const KeyedStateReader reader = open();
    EXPECT_EQ(read(reader, {0, 15}, std::size_t{1} << 20), model_) << checkpoint;
    EXPECT_EQ(read(reader, {0, 15}, 1), model_) << "one key group at a time";
  }
  const KeyedStateReader reader = open();
  Model parts;
  for (const KeyGroupRange range : {KeyGroupRange{0, 2}, {3, 11}, {12, 15}}) {
    parts.merge(read(reader, range, 1));
  }
  EXPECT_EQ(parts, model_);
}

TEST_F(KeyedStateReaderTest, TimersAreAListOfTimes) {
  const std::uint64_t key = 7;
  Subtask& owner = owner_of(key);
  owner.timers->add(2000, 5, &key, key_hash(key));
  owner.timers->add(1000, 5, &key, key_hash(key));
  take_checkpoint(1);
  const KeyedStateReader reader = open();
  const state::StateSchema& timers = *reader.find("timers").value();
  EXPECT_EQ(value_schema_of(timers).value().to_string(), "list<i64>");
  int count = 0;
  ASSERT_TRUE(reader
                  .read(timers, {0, 15},
                        [&](const StoredEntry& entry) -> Status {
                          ++count;
                          EXPECT_EQ(decode_value<std::vector<std::int64_t>>(entry.value),
                                    (std::vector<std::int64_t>{1000, 2000}));
                          EXPECT_EQ(entry.ns, 5);
                          return {};
                        })
                  .ok());
  EXPECT_EQ(count, 1);
}

TEST_F(KeyedStateReaderTest, WhatIsNotThereIsNamedWithWhatIs) {
  take_checkpoint(1);
  const auto no_operator = KeyedStateReader::open(local_file_system(), snapshot(), "other");
  ASSERT_FALSE(no_operator.ok());
  EXPECT_THAT(no_operator.error().message, HasSubstr("it has op"));
  const auto no_state = open().find("other");
  ASSERT_FALSE(no_state.ok());
  EXPECT_THAT(no_state.error().message, HasSubstr("it has names, timers"));
}

TEST_F(KeyedStateReaderTest, TimersAreNotHiddenByAStateOfTheirName) {
  for (Subtask& subtask : subtasks_) {
    value_or_fail(subtask.backend.open_table(describe<std::uint64_t, std::int32_t>("timers")));
  }
  take_checkpoint(1);
  const KeyedStateReader reader = open();
  const auto either = reader.find("timers");
  ASSERT_FALSE(either.ok());
  EXPECT_EQ(either.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(either.error().message, HasSubstr("say keyed/timers or timers/timers"));
  EXPECT_EQ(reader.find("timers/timers").value()->kind, state::StateKind::kTimers);
  EXPECT_EQ(reader.find("keyed/timers").value()->kind, state::StateKind::kTable);
  EXPECT_EQ(reader.find("names").value(), reader.find("keyed/names").value());
}

TEST_F(KeyedStateReaderTest, DamageIsRefused) {
  std::mt19937 random(2);
  for (int i = 0; i < 100; ++i) {
    change(random);
  }
  take_checkpoint(1);
  const std::string path = directory_.file(subtasks_[1].files[0].file.path);
  std::string bytes = read_file(path);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  write_file(path, bytes);
  const auto damaged = KeyedStateReader::open(local_file_system(), snapshot(), "op");
  ASSERT_FALSE(damaged.ok());
  EXPECT_EQ(damaged.error().code, ErrorCode::kCorruption);
}

TEST_F(KeyedStateReaderTest, AVisitorMayEndIt) {
  std::mt19937 random(3);
  for (int i = 0; i < 100; ++i) {
    change(random);
  }
  take_checkpoint(1);
  int count = 0;
  const KeyedStateReader reader = open();
  const Status status =
      reader.read(*reader.find("names").value(), {0, 15}, [&](const StoredEntry&) -> Status {
        return ++count == 3 ? Status(Error{ErrorCode::kCancelled, "enough"}) : Status();
      });
  EXPECT_EQ(status.error().code, ErrorCode::kCancelled);
  EXPECT_EQ(count, 3);
}

}  // namespace
}  // namespace weir::state_processor
