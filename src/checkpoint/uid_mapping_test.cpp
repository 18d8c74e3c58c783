#include "checkpoint/uid_mapping.h"

#include <gtest/gtest.h>

namespace weir::checkpoint {
namespace {

Manifest snapshot() {
  Manifest m;
  m.operators = {{"count", "count", 1, 128, {}, {}}};
  m.sources = {{"events", "events", 1, "", {}}};
  SinkSnapshot sink;
  sink.uid = "out";
  sink.committables = {{{"out", 0, 3, 1, 0}, "", {}}};
  m.sinks = {sink};
  return m;
}

TEST(UidMapping, IsReadAndNothingElseIs) {
  EXPECT_EQ(parse_uid_mapping("a=b,c=d").value(), (UidMapping{{"a", "b"}, {"c", "d"}}));
  EXPECT_TRUE(parse_uid_mapping("").value().empty());
  for (const char* text :
       {"a", "a=", "=b", "a=b=c", "a=a", "a=b,", "a=b,,c=d", "a=b,a=c", "a=c,b=c"}) {
    const auto mapping = parse_uid_mapping(text);
    EXPECT_EQ(mapping.ok(), std::string_view(text) == "a=b,") << text;
  }
}

TEST(UidMapping, RenamesOperatorsSourcesAndSinksWithTheirCommittables) {
  Manifest m = snapshot();
  const UidMapping mapping{{"count", "totals"}, {"events", "orders"}, {"out", "results"}};
  ASSERT_TRUE(apply_uid_mapping(mapping, {"totals", "orders", "results"}, m).ok());
  EXPECT_EQ(m.operators[0].uid, "totals");
  EXPECT_EQ(m.sources[0].uid, "orders");
  EXPECT_EQ(m.sinks[0].uid, "results");
  EXPECT_EQ(m.sinks[0].committables[0].id.sink_uid, "results");
  // Once more: the job has taken a checkpoint since.
  ASSERT_TRUE(apply_uid_mapping(mapping, {"totals", "orders", "results"}, m).ok());
  EXPECT_EQ(m.operators[0].uid, "totals");
}

TEST(UidMapping, NamesMayBeSwapped) {
  Manifest m = snapshot();
  ASSERT_TRUE(
      apply_uid_mapping({{"count", "events"}, {"events", "count"}}, {"events", "count"}, m).ok());
  EXPECT_EQ(m.operators[0].uid, "events");
  EXPECT_EQ(m.sources[0].uid, "count");
}

TEST(UidMapping, UnknownAndTakenNamesAreRefused) {
  const UidMapping wrong[] = {{{"count", "missing"}}, {{"typo", "new"}}, {{"count", "out"}}};
  for (const UidMapping& mapping : wrong) {
    Manifest m = snapshot();
    const Status status = apply_uid_mapping(mapping, {"new", "out", "events"}, m);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(m.operators[0].uid, "count");
  }
}

}  // namespace
}  // namespace weir::checkpoint
