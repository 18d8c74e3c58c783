#include "checkpoint/redistribution.h"

#include <map>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/edge_balance.h"
#include "checkpoint/operator_match.h"

namespace weir::checkpoint {
namespace {

using Redistribution = OperatorStateBackend::Redistribution;
using Items = std::vector<std::string>;

/// Every old subtask has one file with its key groups and a watermark of 10 x subtask.
OperatorSnapshot keyed(int parallelism, int max_parallelism) {
  OperatorSnapshot snapshot;
  snapshot.uid = "op";
  snapshot.parallelism = parallelism;
  snapshot.max_parallelism = max_parallelism;
  for (int i = 0; i < parallelism; ++i) {
    SubtaskSnapshot subtask;
    subtask.subtask = i;
    const KeyGroupRange range = key_groups_of_subtask(i, max_parallelism, parallelism);
    if (range.size() > 0) {
      subtask.files = {{{"f" + std::to_string(i), 1, 1}, "k", range, ""}};
      subtask.key_group_watermarks = {{range, 10 * i}};
    }
    snapshot.subtasks.push_back(subtask);
  }
  return snapshot;
}

TEST(Redistribution, EveryKeyGroupIsReadExactlyOnceFromItsOwner) {
  constexpr int max_parallelism = 30;
  for (int from = 1; from <= max_parallelism; ++from) {
    const OperatorSnapshot snapshot = keyed(from, max_parallelism);
    for (int to = 1; to <= max_parallelism; ++to) {
      std::map<int, int> source_of_group;
      for (int subtask = 0; subtask < to; ++subtask) {
        for (const StateFileToRead& file : keyed_files_for(snapshot, subtask, to)) {
          for (int group = file.key_groups.first; group <= file.key_groups.last; ++group) {
            ASSERT_TRUE(source_of_group.emplace(group, file.old_subtask).second);
            ASSERT_EQ(subtask_of_key_group(group, max_parallelism, to), subtask);
          }
        }
        for (const KeyGroupWatermark& entry : watermarks_for(snapshot, subtask, to)) {
          const int old = subtask_of_key_group(entry.key_groups.first, max_parallelism, from);
          ASSERT_EQ(entry.watermark, 10 * old);
        }
      }
      ASSERT_EQ(source_of_group.size(), static_cast<std::size_t>(max_parallelism));
      for (const auto& [group, old] : source_of_group) {
        ASSERT_EQ(subtask_of_key_group(group, max_parallelism, from), old);
      }
    }
  }
}

TEST(Redistribution, N13_TheStoredMaxParallelismRules) {
  const OperatorSnapshot snapshot = keyed(2, 64);
  EXPECT_EQ(resolve_max_parallelism(snapshot, 128, false, 4).value(), 64);
  EXPECT_EQ(resolve_max_parallelism(snapshot, 64, true, 4).value(), 64);
  EXPECT_FALSE(resolve_max_parallelism(snapshot, 128, true, 4).ok());
  EXPECT_FALSE(resolve_max_parallelism(snapshot, 128, false, 65).ok());
}

OperatorSnapshot lists(const std::vector<std::vector<ListState>>& by_subtask) {
  OperatorSnapshot snapshot;
  snapshot.parallelism = static_cast<int>(by_subtask.size());
  for (std::size_t i = 0; i < by_subtask.size(); ++i) {
    SubtaskSnapshot subtask;
    subtask.subtask = static_cast<int>(i);
    subtask.lists = by_subtask[i];
    snapshot.subtasks.push_back(subtask);
  }
  return snapshot;
}

TEST(Redistribution, AnUnchangedParallelismKeepsEachListWhereItWas) {
  const auto dealt = redistribute_lists(lists({{{"a", Redistribution::kSplit, {"1", "2", "3"}}},
                                               {{"a", Redistribution::kSplit, {}}}}),
                                        2)
                         .value();
  EXPECT_EQ(dealt[0][0].items, (Items{"1", "2", "3"}));
  EXPECT_EQ(dealt[1][0].items, Items{});
}

TEST(Redistribution, SplitListsAreCutIntoRunsAndTheStartRotatesFromNameToName) {
  const auto dealt =
      redistribute_lists(lists({{{"a", Redistribution::kSplit, {"a1", "a2", "a3", "a4"}},
                                 {"b", Redistribution::kSplit, {"b1", "b2"}}}}),
                         3)
          .value();
  EXPECT_EQ(dealt[0][0].items, (Items{"a1", "a2"}));
  EXPECT_EQ(dealt[1][0].items, Items{"a3"});
  EXPECT_EQ(dealt[2][0].items, Items{"a4"});
  // Subtask 0 got the extra item of "a", so "b" begins at 1.
  EXPECT_EQ(dealt[1][1].items, Items{"b1"});
  EXPECT_EQ(dealt[2][1].items, Items{"b2"});
  EXPECT_EQ(dealt[0][1].items, Items{});
}

TEST(Redistribution, H1_H5_TwelveElementsOfTwoStatesArriveOnceEach) {
  Items six{"0", "1", "2", "3", "4", "5"};
  const auto dealt =
      redistribute_lists(
          lists({{{"a", Redistribution::kSplit, six}, {"b", Redistribution::kSplit, six}}}), 3)
          .value();
  for (std::size_t name = 0; name < 2; ++name) {
    Items all;
    for (const auto& subtask : dealt) {
      EXPECT_EQ(subtask[name].items.size(), 2U);
      all.insert(all.end(), subtask[name].items.begin(), subtask[name].items.end());
    }
    EXPECT_EQ(all, six);
  }
}

TEST(Redistribution, H2_UnionGoesToEverybodyAndBroadcastToOneEach) {
  const OperatorSnapshot snapshot =
      lists({{{"u", Redistribution::kUnion, {"1"}}, {"w", Redistribution::kBroadcast, {"x"}}},
             {{"u", Redistribution::kUnion, {"2"}}, {"w", Redistribution::kBroadcast, {"y"}}}});
  for (const int parallelism : {1, 2, 3}) {
    const auto dealt = redistribute_lists(snapshot, parallelism).value();
    for (std::size_t i = 0; i < dealt.size(); ++i) {
      EXPECT_THAT(dealt[i][0].items, ::testing::UnorderedElementsAre("1", "2"));
      EXPECT_EQ(dealt[i][1].items, Items{i % 2 == 0 ? "x" : "y"});
    }
  }
}

TEST(Redistribution, EachItemOfAUnionListIsOneSubtasksToStore) {
  const OperatorSnapshot snapshot = lists(
      {{{"u", Redistribution::kUnion, {"a", "b", "c"}}}, {{"u", Redistribution::kUnion, {}}}});
  for (const int parallelism : {1, 2, 3, 5}) {
    const auto dealt = redistribute_lists(snapshot, parallelism).value();
    Items stored;
    for (const auto& subtask : dealt) {
      const ListState& list = subtask[0];
      EXPECT_THAT(list.items, ::testing::UnorderedElementsAre("a", "b", "c"));
      stored.insert(stored.end(), list.items.begin() + static_cast<std::ptrdiff_t>(list.others),
                    list.items.end());
    }
    EXPECT_THAT(stored, ::testing::UnorderedElementsAre("a", "b", "c")) << parallelism;
  }
  // Unchanged parallelism: what a subtask stored is its own again.
  const auto unchanged = redistribute_lists(snapshot, 2).value();
  EXPECT_EQ(unchanged[0][0].others, 0U);
  EXPECT_EQ(unchanged[1][0].others, 3U);
}

TEST(Redistribution, BroadcastCopiesOfFinishedSubtasksAreReplaced) {
  OperatorSnapshot snapshot = lists({{{"w", Redistribution::kBroadcast, {"x"}}}, {}, {}});
  for (const int parallelism : {3, 4}) {
    const auto dealt = redistribute_lists(snapshot, parallelism).value();
    for (const auto& subtask : dealt) {
      EXPECT_EQ(subtask[0].items, Items{"x"});
    }
  }
}

TEST(Redistribution, SubtasksThatDisagreeAboutAListAreCorruption) {
  EXPECT_FALSE(
      redistribute_lists(
          lists({{{"a", Redistribution::kSplit, {}}}, {{"a", Redistribution::kUnion, {}}}}), 1)
          .ok());
}

TEST(Redistribution, H4_EverySplitGoesToExactlyOneReader) {
  SourceSnapshot source;
  source.parallelism = 4;
  for (int i = 0; i < 4; ++i) {
    ReaderSnapshot reader;
    reader.subtask = i;
    for (int j = 0; j < i; ++j) {
      reader.splits.push_back({std::to_string(i) + "-" + std::to_string(j), "s"});
    }
    source.readers.push_back(reader);
  }
  for (int parallelism = 1; parallelism < 9; ++parallelism) {
    std::set<std::string> seen;
    const auto dealt = redistribute_splits(source, parallelism).value();
    for (const auto& reader : dealt) {
      for (const SourceSplit& split : reader) {
        EXPECT_TRUE(seen.insert(split.id).second);
      }
    }
    EXPECT_EQ(seen.size(), 6U);
  }
  source.readers[1].splits.push_back({"3-1", "s"});
  EXPECT_EQ(redistribute_splits(source, 2).error().code, ErrorCode::kCorruption);
}

TEST(Redistribution, H6_CommittablesKeepIdentityCountAndOrder) {
  Manifest m;
  SinkSnapshot sink;
  sink.uid = "s";
  sink.committables = {{{"s", 1, 2, 1}, "d", {}},
                       {{"s", 0, 3, 1}, "b", {}},
                       {{"s", 0, 2, 1}, "a", {}},
                       {{"s", 1, 2, 1}, "e", {}},
                       {{"s", 0, 3, 2}, "c", {}}};
  m.sinks = {sink};
  std::string order;
  for (const Committable& committable : restored_committables(m)) {
    order += committable.payload;
  }
  EXPECT_EQ(order, "abcde");
}

TEST(EdgeBalance, SumsDoNotDependOnOrderAndDisagreementNamesTheEdge) {
  EdgeSum forward;
  EdgeSum backward;
  for (std::uint64_t i = 0; i < 100; ++i) {
    forward.add(i);
    backward.add(99 - i);
  }
  EXPECT_EQ(forward, backward);
  const auto edges = sum_edges({{"b", true, forward},
                                {"b", false, backward},
                                {"a", true, forward},
                                {"a", false, {99, forward.hash}}});
  ASSERT_EQ(edges.size(), 2U);
  EXPECT_FALSE(check_edge(edges[0]).ok());
  EXPECT_TRUE(check_edge(edges[1]).ok());
  const std::string message = check_edges(edges).error().message;
  EXPECT_NE(message.find("'a'"), std::string::npos);
  EXPECT_NE(message.find("100 records sent"), std::string::npos);
  EXPECT_NE(message.find("99 received"), std::string::npos);
}

TEST(EdgeBalance, ASwapOfTwoRecordsForTwoOthersIsNoticed) {
  EdgeSum sent;
  EdgeSum received;
  sent.add(1);
  sent.add(4);
  received.add(2);
  received.add(3);  // the plain sums are equal
  EXPECT_NE(sent, received);
}

TEST(InFlight, ByKeyGroupEveryNewOwnerReadsWhatOverlapsItsRange) {
  std::vector<InFlightSnapshot> stored(2);
  std::vector<const InFlightSnapshot*> items;
  for (int subtask = 0; subtask < 2; ++subtask) {
    stored[static_cast<std::size_t>(subtask)].subtask = subtask;
    stored[static_cast<std::size_t>(subtask)].receiver_parallelism = 2;
    items.push_back(&stored[static_cast<std::size_t>(subtask)]);
  }
  const auto same = redistribute_in_flight(items, InFlightRouting::kKeyGroups, 2, 12);
  EXPECT_EQ(same[1][0].from, items[1]);
  EXPECT_TRUE(same[1][0].is_whole);
  // 2 -> 3: 0..5, 6..11 become 0..3, 4..7, 8..11.
  const auto up = redistribute_in_flight(items, InFlightRouting::kKeyGroups, 3, 12);
  ASSERT_EQ(up[0].size(), 1U);
  ASSERT_EQ(up[1].size(), 2U);
  ASSERT_EQ(up[2].size(), 1U);
  EXPECT_FALSE(up[0][0].is_whole || up[1][0].is_whole || up[1][1].is_whole || up[2][0].is_whole);
  const auto down = redistribute_in_flight(items, InFlightRouting::kKeyGroups, 1, 12);
  ASSERT_EQ(down[0].size(), 2U);
  EXPECT_TRUE(down[0][0].is_whole && down[0][1].is_whole);
}

TEST(InFlight, OtherRecordsGoToExactlyOneSubtask) {
  std::vector<InFlightSnapshot> stored(5);
  std::vector<const InFlightSnapshot*> items;
  for (int subtask = 0; subtask < 5; ++subtask) {
    stored[static_cast<std::size_t>(subtask)].subtask = subtask;
    stored[static_cast<std::size_t>(subtask)].receiver_parallelism = 5;
    items.push_back(&stored[static_cast<std::size_t>(subtask)]);
  }
  for (const int parallelism : {1, 2, 5, 9}) {
    std::set<const InFlightSnapshot*> seen;
    for (const auto& shares :
         redistribute_in_flight(items, InFlightRouting::kRoundRobin, parallelism, 128)) {
      for (const InFlightShare& share : shares) {
        EXPECT_TRUE(share.is_whole);
        EXPECT_TRUE(seen.insert(share.from).second);
      }
    }
    EXPECT_EQ(seen.size(), 5U) << parallelism;
  }
  EXPECT_EQ(redistribute_in_flight(items, InFlightRouting::kFirst, 3, 128)[0].size(), 5U);
}

TEST(OperatorMatch, M4_ListsMatchedDroppedAndNew) {
  Manifest m;
  SubtaskSnapshot subtask;
  subtask.lists = {{"l", Redistribution::kSplit, {"item"}}};
  SubtaskSnapshot empty;  // There is nothing to lose.
  empty.lists = {{"l", Redistribution::kSplit, {}}};
  m.operators = {{"a", "", 1, 128, {}, {subtask}},
                 {"b", "", 1, 128, {}, {subtask}},
                 {"empty", "", 1, 128, {}, {empty}},
                 {"stateless", "", 1, 128, {}, {}}};
  const OperatorMatch match = match_operators(m, {{"a", ""}, {"c", ""}});
  EXPECT_EQ(match.to_string(), "matched: a; dropped: b; new: c");
  EXPECT_FALSE(check_match(m, match, false).ok());
  EXPECT_TRUE(check_match(m, match, true).ok());
}

TEST(OperatorMatch, NoSettingDropsCommittables) {
  Manifest m;
  m.sinks.resize(1);
  m.sinks[0].uid = "s";
  m.sinks[0].committables.resize(1);
  EXPECT_FALSE(check_match(m, match_operators(m, {}), true).ok());
  EXPECT_TRUE(check_match(m, match_operators(m, {{"s", ""}}), false).ok());
}

}  // namespace
}  // namespace weir::checkpoint
