#include "runtime/edge_output.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "runtime/edge_wiring.h"
#include "runtime/input_gate.h"
#include "runtime/runtime_harness.h"

namespace weir::runtime::test {
namespace {

struct Text {
  std::string key;
  std::int64_t number = 0;
};

EdgeOutput make_output(Partitioning partitioning, Channels& channels, int subtask = 0,
                       int max_parallelism = 128) {
  std::vector<EdgeOutput::Target> targets;
  for (std::size_t i = 0; i < channels.size(); ++i) {
    targets.push_back({static_cast<int>(i), &channels[i]});
  }
  EdgeOutput::Options options;
  options.edge = 3;
  options.partitioning = partitioning;
  options.key = by_key();
  options.subtask = subtask;
  options.max_parallelism = max_parallelism;
  options.receiver_parallelism = static_cast<int>(channels.size());
  return {options, std::move(targets)};
}

TEST(EdgeOutput, HashPutsEachRecordOnTheSubtaskThatOwnsItsKeyGroup) {
  for (const int max_parallelism : {3, 128, 32768}) {
    Channels channels(3);
    EdgeOutput output = make_output(Partitioning::kHash, channels, 0, max_parallelism);
    output.emit(rows(0, 700, 300));
    output.flush();
    std::size_t total = 0;
    for (std::size_t subtask = 0; subtask < 3; ++subtask) {
      const KeyGroupRange owned =
          key_groups_of_subtask(static_cast<int>(subtask), max_parallelism, 3);
      for (const Element& element : channels.take_all(subtask)) {
        ASSERT_TRUE(element.batch->is_keyed());
        for (std::size_t i = 0; i < element.batch->size(); ++i) {
          const Row& row = element.batch->records<Row>()[i];
          ASSERT_EQ(element.batch->key_hashes()[i], key_hash(row.key));
          ASSERT_EQ(element.batch->timestamps()[i], row.number);
          ASSERT_TRUE(owned.contains(key_group_of(key_hash(row.key), max_parallelism)));
          ++total;
        }
      }
    }
    EXPECT_EQ(total, 700U);
  }
}

TEST(EdgeOutput, HashMovesRecordsThatAreNotTriviallyCopyable) {
  Channels channels(2);
  EdgeOutput::Options options;
  options.partitioning = Partitioning::kHash;
  options.key = std::make_shared<detail::TypedKeySelector<Text, std::string Text::*>>(&Text::key);
  options.max_parallelism = 128;
  options.receiver_parallelism = 2;
  EdgeOutput output(options, {{0, &channels[0]}, {1, &channels[1]}});
  BatchPtr batch = Batch::make<Text>();
  for (int i = 0; i < 100; ++i) {
    batch->push_back(Text{"a key that is too long to be stored inside " + std::to_string(i), i}, i);
  }
  output.emit(std::move(batch));
  output.flush();
  std::set<std::string> keys;
  for (std::size_t channel = 0; channel < 2; ++channel) {
    for (const Element& element : channels.take_all(channel)) {
      for (const Text& text : element.batch->records<Text>()) {
        keys.insert(text.key);
      }
    }
  }
  EXPECT_EQ(keys.size(), 100U);
}

TEST(EdgeOutput, ASlowReceiverGetsSmallBatchesInOrder) {
  for (const Partitioning partitioning : {Partitioning::kHash, Partitioning::kGlobal}) {
    Channels channels(2);
    channels[0].set_rows_max(4);
    channels[1].set_rows_max(4);
    EdgeOutput output = make_output(partitioning, channels);
    output.emit(rows(0, 100));  // one key
    output.flush();
    std::vector<std::int64_t> numbers;
    for (int round = 0; round < 200; ++round) {
      for (std::size_t channel = 0; channel < 2; ++channel) {
        for (const Element& element : channels.take_all(channel)) {
          EXPECT_LE(element.batch->size(), 4U);
          const auto of_batch = numbers_of(*element.batch);
          numbers.insert(numbers.end(), of_batch.begin(), of_batch.end());
        }
      }
      output.drain_overflow();
    }
    ASSERT_EQ(numbers.size(), 100U);
    EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end()));
  }
}

TEST(EdgeOutput, BackPressureQueuesInOrderAndLosesNothing) {
  Channels channels(2);
  EdgeOutput output = make_output(Partitioning::kHash, channels);
  constexpr std::int64_t kRows = 60'000;  // more than both channels hold
  std::int64_t next = 0;
  while (!output.is_full()) {
    output.emit(rows(next, 1000, 50));
    next += 1000;
  }
  ASSERT_LT(next, kRows * 10);
  EXPECT_TRUE(output.is_full());
  output.emit(rows(next, 1000, 50));  // still accepted
  next += 1000;
  output.broadcast(Element::of_watermark(9));

  std::map<std::int64_t, std::int64_t> latest_of_key;
  std::int64_t received = 0;
  int watermarks = 0;
  while (true) {
    bool has_any = false;
    for (std::size_t channel = 0; channel < 2; ++channel) {
      for (const Element& element : channels.take_all(channel)) {
        has_any = true;
        if (element.kind == Element::Kind::kWatermark) {
          ++watermarks;
          continue;
        }
        for (const Row& row : element.batch->records<Row>()) {
          const auto [latest, is_new] = latest_of_key.try_emplace(row.key, row.number);
          ASSERT_TRUE(is_new || latest->second < row.number) << "order of key " << row.key;
          latest->second = row.number;
          ++received;
        }
      }
    }
    output.drain_overflow();
    if (!has_any) {
      break;
    }
  }
  EXPECT_FALSE(output.is_full());
  EXPECT_EQ(received, next);
  EXPECT_EQ(watermarks, 2);
}

TEST(EdgeOutput, SmallBatchesTravelTogether) {
  Channels channels(1);
  EdgeOutput output = make_output(Partitioning::kForward, channels);
  for (std::int64_t i = 0; i < 10; ++i) {
    output.emit(rows(i, 1, 1, 1000));
  }
  EXPECT_TRUE(channels.take_all(0).empty());  // waiting for more
  output.flush();
  const auto elements = channels.take_all(0);
  ASSERT_EQ(elements.size(), 1U);
  EXPECT_EQ(numbers_of(*elements[0].batch),
            (std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST(EdgeOutput, NothingOvertakesRecordsThatWait) {
  Channels channels(1);
  EdgeOutput output = make_output(Partitioning::kForward, channels);
  output.emit(rows(0, 1, 1, 1000));
  output.broadcast(Element::of_barrier({7, false, false}));
  const auto elements = channels.take_all(0);
  ASSERT_EQ(elements.size(), 2U);
  EXPECT_EQ(elements[0].kind, Element::Kind::kBatch);
  EXPECT_EQ(elements[1].kind, Element::Kind::kBarrier);
  EXPECT_EQ(elements[1].barrier.checkpoint, 7);
}

TEST(EdgeOutput, BroadcastCopiesToAllAndRebalanceDealsInTurn) {
  Channels copies(3);
  EdgeOutput broadcast = make_output(Partitioning::kBroadcast, copies);
  broadcast.emit(rows(0, 4));
  broadcast.flush();
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(copies.take_numbers(i), (std::vector<std::int64_t>{0, 1, 2, 3}));
  }
  EXPECT_EQ(broadcast.report().sums.count, 12U);

  Channels dealt(3);
  EdgeOutput rebalance = make_output(Partitioning::kRebalance, dealt);
  for (std::int64_t i = 0; i < 6; ++i) {
    rebalance.emit(rows(i * 10, 10));
  }
  rebalance.flush();
  std::set<std::int64_t> seen;
  for (std::size_t i = 0; i < 3; ++i) {
    const auto numbers = dealt.take_numbers(i);
    EXPECT_EQ(numbers.size(), 20U);
    seen.insert(numbers.begin(), numbers.end());
  }
  EXPECT_EQ(seen.size(), 60U);
}

TEST(EdgeOutput, GlobalSendsRecordsToTheFirstSubtaskAndBarriersToAll) {
  Channels channels(2);
  EdgeOutput output = make_output(Partitioning::kGlobal, channels, 1);
  output.emit(rows(0, 4));
  output.broadcast(Element::of_barrier({7, false, false}));
  EXPECT_EQ(channels.take_all(0).size(), 2U);
  const auto second = channels.take_all(1);
  ASSERT_EQ(second.size(), 1U);
  EXPECT_EQ(second[0].kind, Element::Kind::kBarrier);
}

TEST(EdgeWiring, PointwisePatternsGiveEverybodyAPartner) {
  for (int senders = 1; senders <= 7; ++senders) {
    for (int receivers = 1; receivers <= 7; ++receivers) {
      std::vector<int> of_sender(static_cast<std::size_t>(senders));
      std::vector<int> of_receiver(static_cast<std::size_t>(receivers));
      for (int s = 0; s < senders; ++s) {
        for (int r = 0; r < receivers; ++r) {
          if (is_connected(Partitioning::kRescale, s, senders, r, receivers)) {
            ++of_sender[static_cast<std::size_t>(s)];
            ++of_receiver[static_cast<std::size_t>(r)];
          }
          // Every receiver needs barriers, also where records go to one only.
          EXPECT_TRUE(is_connected(Partitioning::kHash, s, senders, r, receivers));
          EXPECT_TRUE(is_connected(Partitioning::kGlobal, s, senders, r, receivers));
        }
      }
      for (const int count : of_sender) {
        EXPECT_GE(count, 1);
        EXPECT_LE(count, (receivers + senders - 1) / senders);
      }
      for (const int count : of_receiver) {
        EXPECT_GE(count, 1);
        EXPECT_LE(count, (senders + receivers - 1) / receivers);
      }
    }
  }
}

// --- Both ends ----------------------------------------------------------------------------------

/// Reads everything up to the next barrier; blocked channels stay as they are.
std::vector<InputGate::Event> read_to_barrier(InputGate& gate) {
  std::vector<InputGate::Event> events;
  while (auto event = gate.next()) {
    events.push_back(std::move(*event));
    if (events.back().kind == InputGate::Event::Kind::kBarrier) {
      break;
    }
  }
  return events;
}

bool operator==(const EdgeSums& a, const EdgeSums& b) {
  return a.count == b.count && a.hash == b.hash;
}

TEST(EdgeSums, BothEndsAgreeAtEveryBarrier) {
  for (const Partitioning partitioning :
       {Partitioning::kHash, Partitioning::kRebalance, Partitioning::kBroadcast}) {
    Channels channels(2);
    EdgeOutput output = make_output(partitioning, channels);
    std::deque<InputGate> gates;
    for (std::size_t i = 0; i < 2; ++i) {
      gates.emplace_back(std::vector<InputGate::Input>{{&channels[i], 3, 0}},
                         checkpoint::AlignmentMode::kExactlyOnce);
    }
    for (CheckpointId checkpoint = 1; checkpoint <= 4; ++checkpoint) {
      output.emit(rows(checkpoint * 1000, 333, 17));
      output.emit(rows(checkpoint * 2000, 10, 17, 1000));
      output.broadcast(Element::of_barrier({checkpoint, false, false}));
      EdgeSums received;
      for (InputGate& gate : gates) {
        (void)read_to_barrier(gate);
        received.count += gate.reports()[0].sums.count;
        received.hash += gate.reports()[0].sums.hash;
      }
      EXPECT_TRUE(received == output.report().sums);
      EXPECT_EQ(output.report().edge, 3);
    }
  }
}

// The abort may reach the receiver before the barrier does.
TEST(EdgeSums, StillAgreeAfterACheckpointThatOnlyTheSenderTookPartIn) {
  Channels channels(1);
  EdgeOutput output = make_output(Partitioning::kForward, channels);
  InputGate gate({{&channels[0], 3, 0}}, checkpoint::AlignmentMode::kExactlyOnce);
  output.emit(rows(0, 100));
  output.broadcast(Element::of_barrier({1, false, false}));
  (void)output.report();
  gate.abort_checkpoint(1);
  output.emit(rows(100, 50));
  output.broadcast(Element::of_barrier({2, false, false}));
  const auto events = read_to_barrier(gate);
  EXPECT_EQ(events.back().barrier.checkpoint, 2);
  EXPECT_TRUE(gate.reports()[0].sums == output.report().sums);
}

EdgeSums sums_of(const Batch& batch) {
  EdgeSums sums;
  sums.add(batch);
  return sums;
}

BatchPtr keyed(BatchPtr batch) {
  by_key()->hash(*batch);
  return batch;
}

TEST(EdgeSums, NoticeALostADoubledAndAChangedRecord) {
  const EdgeSums whole = sums_of(*keyed(rows(0, 10, 5)));
  EXPECT_FALSE(whole == sums_of(*keyed(rows(0, 9, 5))));
  EXPECT_FALSE(whole == sums_of(*keyed(rows(1, 10, 5))));
  BatchPtr changed = keyed(rows(0, 10, 5));
  changed->timestamps()[3] += 1;
  EXPECT_FALSE(whole == sums_of(*changed));
  BatchPtr other_key = keyed(rows(0, 10, 5));
  other_key->key_hashes()[3] = 1;
  EXPECT_FALSE(whole == sums_of(*other_key));
}

TEST(EdgeSums, ValuesExchangedBetweenRecordsDoNotCancelOut) {
  constexpr std::size_t kRows = 64;
  const EdgeSums whole = sums_of(*keyed(rows(0, kRows, kRows)));
  for (std::size_t i = 0; i < kRows; ++i) {
    for (std::size_t k = i + 1; k < kRows; ++k) {
      BatchPtr exchanged = keyed(rows(0, kRows, kRows));
      std::swap(exchanged->timestamps()[i], exchanged->timestamps()[k]);
      ASSERT_FALSE(whole == sums_of(*exchanged)) << i << " and " << k;
      // A second exchange, as regular as the first one.
      std::swap(exchanged->timestamps()[(i + 1) % kRows], exchanged->timestamps()[(k + 1) % kRows]);
      ASSERT_FALSE(whole == sums_of(*exchanged)) << i << " and " << k << " and their neighbours";
    }
  }
}

TEST(EdgeSums, RecordsWithoutKeyAndTimeAreToldApartByTheirContent) {
  const auto texts = [](const std::vector<Text>& records) {
    BatchPtr batch = Batch::make(type_ops<Text>(), records.size());
    for (const Text& record : records) {
      batch->push_back(record, kMinTimestamp);
    }
    return batch;
  };
  const EdgeSums whole = sums_of(*texts({{"a", 1}, {"b", 2}, {"c", 3}}));
  EXPECT_TRUE(whole == sums_of(*texts({{"c", 3}, {"a", 1}, {"b", 2}})));
  EXPECT_FALSE(whole == sums_of(*texts({{"a", 1}, {"b", 2}, {"b", 2}})));
  EXPECT_FALSE(whole == sums_of(*texts({{"a", 1}, {"b", 2}, {"c", 4}})));
  EXPECT_FALSE(whole == sums_of(*texts({{"a", 1}, {"b", 3}, {"c", 2}})));

  BatchPtr numbers = rows(0, 600);
  const EdgeSums before = sums_of(*numbers);
  numbers->records<Row>()[599].number = 0;  // its time stays as it is
  EXPECT_FALSE(before == sums_of(*numbers));
}

TEST(EdgeSums, DoNotDependOnHowRecordsAreCutIntoBatches) {
  for (const bool is_keyed : {true, false}) {
    for (std::size_t size = 1; size < 600; size += 37) {
      const auto of_rows = [&](std::int64_t first, std::size_t count) {
        BatchPtr batch = rows(first, count, 1'000);
        return is_keyed ? keyed(std::move(batch)) : std::move(batch);
      };
      EdgeSums single;
      for (std::size_t i = size; i-- > 0;) {
        single.add(*of_rows(static_cast<std::int64_t>(i), 1));
      }
      EXPECT_TRUE(single == sums_of(*of_rows(0, size))) << size;
    }
  }
}

TEST(EdgeOutput, RecordsThatOwnMuchTravelInSmallBatches) {
  constexpr std::size_t kRecords = 100;
  constexpr std::size_t kRecordBytes = 300'000;
  const auto texts = [] {
    BatchPtr batch = Batch::make(type_ops<Text>(), kRecords);
    for (std::size_t i = 0; i < kRecords; ++i) {
      batch->push_back(Text{std::string(kRecordBytes, 'x'), static_cast<std::int64_t>(i)}, 0);
    }
    return batch;
  };
  for (const Partitioning partitioning : {Partitioning::kForward, Partitioning::kHash}) {
    Channels channels(partitioning == Partitioning::kHash ? 2 : 1);
    EdgeOutput::Options options;
    options.partitioning = partitioning;
    options.key =
        std::make_shared<detail::TypedKeySelector<Text, std::int64_t Text::*>>(&Text::number);
    options.max_parallelism = 128;
    options.receiver_parallelism = static_cast<int>(channels.size());
    std::vector<EdgeOutput::Target> targets;
    for (std::size_t i = 0; i < channels.size(); ++i) {
      targets.push_back({static_cast<int>(i), &channels[i]});
    }
    EdgeOutput output(options, std::move(targets));
    output.emit(texts());
    output.flush();
    std::size_t received = 0;
    while (received < kRecords) {
      const std::size_t before = received;
      for (std::size_t i = 0; i < channels.size(); ++i) {
        for (const Element& element : channels.take_all(i)) {
          EXPECT_LE(element.batch->size() * kRecordBytes, (1U << 20) + kRecordBytes);
          received += element.batch->size();
        }
      }
      output.drain_overflow();
      ASSERT_GT(received, before);
    }
    EXPECT_EQ(received, kRecords);
  }
}

}  // namespace
}  // namespace weir::runtime::test
