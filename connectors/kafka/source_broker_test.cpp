// The source against a real broker.
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "kafka/broker_client.h"
#include "kafka/source_host.h"
#include "kafka/test_broker.h"

namespace weir::kafka::test {
namespace {

using namespace std::chrono_literals;
using Strings = std::vector<std::string>;

class KafkaSourceOnBroker : public ::testing::Test {
 protected:
  void SetUp() override { WEIR_NEEDS_KAFKA(); }

  static void fill(const std::string& topic, const Strings& lines,
                   const std::string& codec = "none") {
    SinkHost host(line_sink(topic)
                      .set_delivery_guarantee(DeliveryGuarantee::kAtLeastOnce)
                      .set_property("compression.type", codec)
                      .build());
    host.open();
    ASSERT_TRUE(host.write(lines).ok());
    ASSERT_TRUE(host.prepare(1).ok());
  }
};

TEST_F(KafkaSourceOnBroker, ABoundedReadGivesEverythingOnceAndEnds) {
  const std::string topic = TestBroker::get().make_topic("bounded", 3);
  Strings lines;
  for (int i = 0; i < 3'000; ++i) {
    lines.push_back("line " + std::to_string(i));
  }
  fill(topic, lines);
  SourceHost host(line_source(topic).set_bounded(OffsetsInitializer::latest()).build(), 2);
  ASSERT_TRUE(host.start().ok());
  const Status read = host.read();
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_TRUE(host.is_finished());
  EXPECT_EQ(host.output.finished.size(), 3U);
  Strings got = host.output.all();
  std::sort(got.begin(), got.end());
  std::sort(lines.begin(), lines.end());
  EXPECT_EQ(got, lines);
  for (const TimestampMs time : host.output.timestamps) {
    EXPECT_GT(time, 1'600'000'000'000);
  }
}

TEST_F(KafkaSourceOnBroker, EveryCodecIsWrittenAsAskedAndReadBack) {
  const std::pair<std::string, int> codecs[] = {
      {"gzip", 1}, {"snappy", 2}, {"lz4", 3}, {"zstd", 4}};
  for (const auto& [codec, number] : codecs) {
    const std::string topic = TestBroker::get().make_topic(codec);
    const Strings lines(200, std::string(100, 'x'));
    fill(topic, lines, codec);
    SourceHost host(line_source(topic).set_bounded(OffsetsInitializer::latest()).build());
    ASSERT_TRUE(host.start().ok());
    ASSERT_TRUE(host.read().ok());
    EXPECT_EQ(host.output.all(), lines) << codec;
    EXPECT_EQ(TestBroker::get().stored_codec(topic), number) << codec;
  }
}

TEST_F(KafkaSourceOnBroker, K4_ABoundedReadEndsAlthoughItsTailIsAborted) {
  const std::string topic = TestBroker::get().make_topic("aborted-tail");
  const SinkContext context = SinkHost::default_context();
  SinkHost host(line_sink(topic).build(), context);
  host.open();
  ASSERT_TRUE(host.write({"kept"}).ok());
  auto prepared = host.prepare(1);
  ASSERT_TRUE(prepared.ok());
  ASSERT_TRUE(host.commit(prepared.value().at(0)).ok());
  ASSERT_TRUE(host.write(Strings(50, "aborted")).ok());
  ASSERT_TRUE(host.prepare(2).ok());
  host.close_writer();
  ASSERT_TRUE(host.committer().abort_orphans({}, {}).ok());
  ASSERT_EQ(stable_and_end_offset(topic).first, 53);  // 1 + marker + 50 + marker

  SourceHost reader(line_source(topic).set_bounded(OffsetsInitializer::latest()).build());
  ASSERT_TRUE(reader.start().ok());
  const Status read = reader.read();
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_TRUE(reader.is_finished());
  EXPECT_EQ(reader.output.all(), Strings{"kept"});
}

TEST_F(KafkaSourceOnBroker, ARestoredReaderGoesOnWithTheNextRecord) {
  const std::string topic = TestBroker::get().make_topic("restore");
  fill(topic, {"1", "2", "3"});
  const auto source = line_source(topic).set_partition_discovery_interval(DurationMs(0)).build();
  SourceHost first(source);
  ASSERT_TRUE(first.start().ok());
  ASSERT_TRUE(first.read(3).ok());
  const SourceHost::Restored taken = first.snapshot(1);
  fill(topic, {"4", "5"});
  ASSERT_TRUE(first.read(5).ok());

  SourceHost second(source);
  ASSERT_TRUE(second.restore(taken).ok());
  ASSERT_TRUE(second.read(2).ok());
  EXPECT_EQ(second.output.all(), (Strings{"4", "5"}));
}

TEST_F(KafkaSourceOnBroker, K2_TheStartResolvedFirstIsUsedAfterARestartThatReadNothing) {
  const std::string topic = TestBroker::get().make_topic("latest");
  fill(topic, {"old"});
  const auto source = line_source(topic).set_starting_offsets(OffsetsInitializer::latest()).build();
  SourceHost first(source);
  ASSERT_TRUE(first.start().ok());
  const SourceHost::Restored taken = first.snapshot(1);
  fill(topic, {"between"});

  SourceHost second(source);
  ASSERT_TRUE(second.restore(taken).ok());
  ASSERT_TRUE(second.read(1).ok());
  EXPECT_EQ(second.output.all(), Strings{"between"});
}

TEST_F(KafkaSourceOnBroker, K1_ATopicCreatedAgainUnderItsNameIsRefused) {
  const std::string topic = TestBroker::get().make_topic("again");
  fill(topic, {"1", "2", "3"});
  const auto source = line_source(topic).build();
  SourceHost::Restored taken;
  {
    SourceHost first(source);
    ASSERT_TRUE(first.start().ok());
    ASSERT_TRUE(first.read(3).ok());
    taken = first.snapshot(1);
  }
  TestBroker::get().delete_topic(topic);
  std::this_thread::sleep_for(500ms);
  TestBroker::get().create_topic(topic);
  fill(topic, {"a", "b", "c", "d"});

  SourceHost second(source);
  const Status restored = second.restore(taken);
  ASSERT_FALSE(restored.ok());
  EXPECT_NE(restored.error().message.find("created again"), std::string::npos)
      << restored.error().message;
}

TEST_F(KafkaSourceOnBroker, OffsetsAreCommittedAfterTheCheckpointAndCanBeStartedFrom) {
  const std::string topic = TestBroker::get().make_topic("group");
  fill(topic, {"1", "2", "3"});
  const std::string group = topic + "-readers";
  SourceHost first(line_source(topic).set_group_id(group).build());
  ASSERT_TRUE(first.start().ok());
  ASSERT_TRUE(first.read(3).ok());
  first.snapshot(1);
  first.complete(1);
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  while (first.metrics_.counter("commitsSucceeded").value() == 0 &&
         std::chrono::steady_clock::now() < deadline) {
    ASSERT_TRUE(first.read(3).ok());
    std::this_thread::sleep_for(10ms);
  }
  EXPECT_EQ(first.metrics_.counter("commitsSucceeded").value(), 1);

  fill(topic, {"4"});
  SourceHost second(line_source(topic)
                        .set_group_id(group)
                        .set_starting_offsets(OffsetsInitializer::committed_offsets())
                        .set_bounded(OffsetsInitializer::latest())
                        .build());
  ASSERT_TRUE(second.start().ok());
  ASSERT_TRUE(second.read().ok());
  EXPECT_EQ(second.output.all(), Strings{"4"});

  SourceHost other(line_source(topic)
                       .set_group_id(group + "-none")
                       .set_starting_offsets(OffsetsInitializer::committed_offsets())
                       .build());
  EXPECT_FALSE(other.start().ok()) << "no offset and no reset strategy";
}

TEST_F(KafkaSourceOnBroker, ATopicThatAppearsLaterIsReadFromItsBeginning) {
  const std::string topic = TestBroker::get().make_topic("pattern");
  fill(topic, {"1"});
  KafkaSourceBuilder<Line> builder = line_source(topic);
  builder.set_topics({})
      .set_topic_pattern(topic + ".*")
      .set_starting_offsets(OffsetsInitializer::latest());
  SourceHost host(builder.build());
  ASSERT_TRUE(host.start().ok());
  TestBroker::get().create_topic(topic + "-late");
  fill(topic + "-late", {"from the start"});
  ASSERT_TRUE(host.enumerator().poll().ok());
  ASSERT_TRUE(host.assign_error.ok());
  ASSERT_TRUE(host.read(1).ok());
  EXPECT_EQ(host.output.all(), Strings{"from the start"});
}

TEST_F(KafkaSourceOnBroker, AClientOpenedAnewForMorePartitionsGoesOnWithTheNextRecord) {
  const std::string topic = TestBroker::get().make_topic("grows", 3);
  const auto fill_lines = [](const std::string& to, int count) {
    Strings lines;
    for (int i = 0; i < count; ++i) {
      lines.push_back(to + " " + std::to_string(i) + std::string(500, '.'));
    }
    fill(to, lines);
    return lines;
  };
  Strings expected = fill_lines(topic, 4'000);
  KafkaSourceBuilder<Line> builder = line_source(topic);
  builder.set_topics({}).set_topic_pattern(topic + ".*");
  SourceHost host(builder.build());
  host.queue_bytes = 1 << 20;  // less than three partitions fill, and still less for eleven
  ASSERT_TRUE(host.start().ok());
  ASSERT_TRUE(host.read(1'000).ok());
  ASSERT_LT(host.output.all().size(), 4'000U);  // the rest is on its way or in the queues

  TestBroker::get().create_topic(topic + "-more", 8);
  const Strings more = fill_lines(topic + "-more", 800);
  expected.insert(expected.end(), more.begin(), more.end());
  ASSERT_TRUE(host.enumerator().poll().ok());
  ASSERT_TRUE(host.assign_error.ok());
  ASSERT_TRUE(host.read(expected.size()).ok());
  Strings got = host.output.all();
  std::sort(got.begin(), got.end());
  std::sort(expected.begin(), expected.end());
  EXPECT_TRUE(got == expected) << got.size() << " of " << expected.size();
}

TEST_F(KafkaSourceOnBroker, BadRecordsFailOrAreSkippedOrBecomeDeadLetters) {
  const std::string topic = TestBroker::get().make_topic("bad");
  fill(topic, {"good", "bad one", "fine"});
  const auto bounded = [&] { return line_source(topic).set_bounded(OffsetsInitializer::latest()); };
  SourceHost failing(bounded().build());
  ASSERT_TRUE(failing.start().ok());
  const Status failed = failing.read();
  ASSERT_FALSE(failed.ok());
  EXPECT_NE(failed.error().message.find(topic + "[0]@1"), std::string::npos)
      << failed.error().message;

  SourceHost skipping(bounded().set_on_bad_record(OnBadRecord::kSkip).build());
  ASSERT_TRUE(skipping.start().ok());
  ASSERT_TRUE(skipping.read().ok());
  EXPECT_EQ(skipping.output.all(), (Strings{"good", "fine"}));
  EXPECT_EQ(skipping.metrics_.counter("numRecordsInErrors").value(), 1);

  SourceHost routing(bounded().build_with_bad_records());
  ASSERT_TRUE(routing.start().ok());
  ASSERT_TRUE(routing.read().ok());
  ASSERT_EQ(routing.output.parsed.size(), 3U);
  const Parsed<Line>& bad = routing.output.parsed[1];
  ASSERT_TRUE(bad.bad.has_value());
  EXPECT_EQ(bad.bad->offset, 1);
  EXPECT_EQ(bad.bad->value, "bad one");
  EXPECT_EQ(bad.bad->error, "not a line");
  Record letter;
  write_dead_letter(*bad.bad, letter);
  EXPECT_EQ(letter.value, "bad one");
  EXPECT_EQ(letter.headers.size(), 4U);
}

TEST_F(KafkaSourceOnBroker, ExplicitOffsetsAndTimestampsAreHonoured) {
  const std::string topic = TestBroker::get().make_topic("explicit");
  fill(topic, {"0", "1", "2", "3"});
  SourceHost host(line_source(topic)
                      .set_starting_offsets(OffsetsInitializer::offsets({{{topic, 0}, 1}}))
                      .set_bounded(OffsetsInitializer::offsets({{{topic, 0}, 3}}))
                      .build());
  ASSERT_TRUE(host.start().ok());
  ASSERT_TRUE(host.read().ok());
  EXPECT_EQ(host.output.all(), (Strings{"1", "2"}));

  SourceHost early(line_source(topic)
                       .set_starting_offsets(OffsetsInitializer::timestamp(1'000))
                       .set_bounded(OffsetsInitializer::latest())
                       .build());
  ASSERT_TRUE(early.start().ok());
  ASSERT_TRUE(early.read().ok());
  EXPECT_EQ(early.output.all().size(), 4U);

  SourceHost late(line_source(topic)
                      .set_starting_offsets(OffsetsInitializer::timestamp(4'000'000'000'000))
                      .set_bounded(OffsetsInitializer::latest())
                      .build());
  ASSERT_TRUE(late.start().ok());
  ASSERT_TRUE(late.read().ok());
  EXPECT_TRUE(late.output.all().empty());
}

TEST_F(KafkaSourceOnBroker, APositionThatIsGoneIsAnErrorNotAJump) {
  const std::string topic = TestBroker::get().make_topic("gone");
  fill(topic, {"0"});
  SourceHost host(line_source(topic)
                      .set_starting_offsets(OffsetsInitializer::offsets({{{topic, 0}, 1'000}}))
                      .build());
  ASSERT_TRUE(host.start().ok());
  const Status read = host.read(1);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code, ErrorCode::kLost) << read.error().message;
}

}  // namespace
}  // namespace weir::kafka::test
