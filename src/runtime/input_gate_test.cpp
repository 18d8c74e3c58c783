#include "runtime/input_gate.h"

#include <string>
#include <vector>

#include "io/local_file_system.h"
#include "runtime/runtime_harness.h"

namespace weir::runtime::test {
namespace {

using checkpoint::AlignmentMode;
using Kind = InputGate::Event::Kind;

InputGate make_gate(Channels& channels, AlignmentMode mode = AlignmentMode::kExactlyOnce) {
  std::vector<InputGate::Input> inputs;
  for (std::size_t i = 0; i < channels.size(); ++i) {
    inputs.push_back({&channels[i], static_cast<int>(i), static_cast<int>(i), 0});
  }
  return {std::move(inputs), mode, true};
}

/// All that can be read now, as text.
std::vector<std::string> read(InputGate& gate) {
  std::vector<std::string> events;
  while (const auto event = gate.next()) {
    switch (event->kind) {
      case Kind::kBatch: {
        std::string text = "rows of " + std::to_string(event->operator_input);
        for (const std::int64_t number : numbers_of(*event->batch)) {
          text += " " + std::to_string(number);
        }
        events.push_back(text);
        break;
      }
      case Kind::kWatermark:
        events.push_back("watermark " + std::to_string(event->watermark));
        break;
      case Kind::kIdle:
        events.push_back("idle");
        break;
      case Kind::kActive:
        events.push_back("active");
        break;
      case Kind::kBarrier:
        events.push_back("barrier " + std::to_string(event->barrier.checkpoint));
        break;
      case Kind::kEndOfInput:
        events.push_back("end");
        break;
    }
  }
  return events;
}
using Events = std::vector<std::string>;

Element barrier(CheckpointId checkpoint) { return Element::of_barrier({checkpoint, false, false}); }

TEST(InputGate, HoldsBackAnInputThatIsAheadUntilAllHaveTheBarrier) {
  Channels channels(2);
  InputGate gate = make_gate(channels);
  channels.push(0, Element::of(rows(1, 1)));
  channels.push(0, barrier(1));
  channels.push(0, Element::of(rows(2, 1)));
  EXPECT_EQ(read(gate), (Events{"rows of 0 1"}));
  channels.push(1, Element::of(rows(10, 1)));
  EXPECT_EQ(read(gate), (Events{"rows of 1 10"}));
  channels.push(1, barrier(1));
  EXPECT_EQ(read(gate), (Events{"barrier 1", "rows of 0 2"}));
}

TEST(InputGate, WithAtLeastOnceNothingIsHeldBack) {
  Channels channels(2);
  InputGate gate = make_gate(channels, AlignmentMode::kAtLeastOnce);
  channels.push(0, barrier(1));
  channels.push(0, Element::of(rows(2, 1)));
  EXPECT_EQ(read(gate), (Events{"rows of 0 2"}));
  channels.push(1, barrier(1));
  EXPECT_EQ(read(gate), (Events{"barrier 1"}));
}

TEST(InputGate, AnAbortedCheckpointReleasesItsInputs) {
  Channels channels(2);
  InputGate gate = make_gate(channels);
  channels.push(0, barrier(1));
  channels.push(0, Element::of(rows(2, 1)));
  EXPECT_TRUE(read(gate).empty());
  gate.abort_checkpoint(1);
  EXPECT_EQ(read(gate), (Events{"rows of 0 2"}));
  channels.push(1, barrier(1));  // comes late and starts nothing
  channels.push(1, barrier(2));
  channels.push(0, barrier(2));
  EXPECT_EQ(read(gate), (Events{"barrier 2"}));
}

TEST(InputGate, KeepsTheFlagsOfTheBarrier) {
  Channels channels(1);
  InputGate gate = make_gate(channels);
  channels.push(0, Element::of_barrier({5, true, true}));
  const auto event = gate.next();
  ASSERT_TRUE(event.has_value());
  EXPECT_TRUE(event->barrier.is_terminal);
  EXPECT_TRUE(event->barrier.is_savepoint);
}

TEST(InputGate, PassesOnTheLowestWatermark) {
  Channels channels(2);
  InputGate gate = make_gate(channels);
  channels.push(0, Element::of_watermark(10));
  EXPECT_TRUE(read(gate).empty());
  channels.push(1, Element::of_watermark(5));
  EXPECT_EQ(read(gate), (Events{"watermark 5"}));
}

TEST(InputGate, AnIdleInputIsLeftOutAndAllIdleIsToldAfterTheirWatermark) {
  Channels channels(2);
  InputGate gate = make_gate(channels);
  channels.push(0, Element::of_watermark(10));
  channels.push(1, Element::of(Element::Kind::kIdle));
  EXPECT_EQ(read(gate), (Events{"watermark 10"}));
  channels.push(0, Element::of(Element::Kind::kIdle));
  EXPECT_EQ(read(gate), (Events{"idle"}));
  channels.push(1, Element::of(Element::Kind::kActive));
  channels.push(1, Element::of_watermark(30));
  EXPECT_EQ(read(gate), (Events{"active", "watermark 30"}));
}

TEST(InputGate, TheEndOfInputComesAfterTheFinalWatermarkAndBarriersStillFollow) {
  Channels channels(2);
  InputGate gate = make_gate(channels);
  channels.push(0, Element::of(rows(1, 1)));
  channels.push(0, Element::of_watermark(kMaxTimestamp));
  channels.push(0, Element::of(Element::Kind::kEndOfInput));
  channels.push(0, barrier(1));
  EXPECT_EQ(read(gate), (Events{"rows of 0 1"}));
  channels.push(1, Element::of_watermark(50));
  channels.push(1, barrier(1));
  EXPECT_EQ(read(gate), (Events{"watermark 50", "barrier 1"}));
  channels.push(1, Element::of(Element::Kind::kEndOfInput));
  EXPECT_EQ(read(gate), (Events{"watermark " + std::to_string(kMaxTimestamp), "end"}));
  channels.push(0, barrier(2));
  channels.push(1, barrier(2));
  EXPECT_EQ(read(gate), (Events{"barrier 2"}));
}

TEST(InputGate, AFastInputDoesNotStarveAnother) {
  Channels channels(2);
  InputGate gate = make_gate(channels);
  for (std::int64_t i = 0; i < 8; ++i) {
    channels.push(0, Element::of(rows(i, 1)));
  }
  channels.push(1, Element::of(rows(100, 1)));
  (void)gate.next();
  const auto second = gate.next();
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->operator_input, 1);
}

// ---- barriers that overtake

void push_overtaking(Channel& channel, CheckpointId checkpoint, std::int64_t at_ns = 0) {
  Barrier barrier;
  barrier.checkpoint = checkpoint;
  barrier.can_overtake = true;
  barrier.overtake_at_ns = at_ns;
  channel.push(Element::of_barrier(barrier));
  channel.announce(barrier);
}

/// The log, stored and read back: per channel what it replays.
std::vector<Events> replayed(const InputGate::Log& log) {
  TemporaryDirectory directory;
  LocalFileSystem files;
  const std::string path = directory.path() + "/log";
  const auto stored = log.channels.store(files, path);
  EXPECT_TRUE(stored.ok()) << stored.error().message;
  std::vector<Events> channels;
  for (const ChannelLog::StoredChannel& channel : stored.value().channels) {
    auto elements = read_channel_log(files, path, channel.snapshot, type_ops<Row>());
    EXPECT_TRUE(elements.ok()) << elements.error().message;
    RecoveredChannel recovered;
    recovered.watermark = channel.snapshot.watermark;
    recovered.is_idle = channel.snapshot.is_idle;
    recovered.elements = std::move(elements).value();
    Channels none(1);
    InputGate gate = make_gate(none);
    std::vector<RecoveredChannel> one;
    one.push_back(std::move(recovered));
    gate.restore(std::move(one));
    channels.push_back(read(gate));
  }
  return channels;
}

TEST(InputGate, ABarrierOvertakesWhatIsQueuedAndTheLogHoldsExactlyThat) {
  Channels channels(2);
  InputGate gate = make_gate(channels);
  channels.push(0, Element::of(rows(1, 1)));
  EXPECT_EQ(read(gate), Events{"rows of 0 1"});
  channels.push(0, Element::of(rows(2, 2)));
  channels.push(0, Element::of_watermark(2));
  push_overtaking(channels[0], 1);
  channels.push(0, Element::of(rows(50, 1)));
  channels.push(1, Element::of(rows(100, 1)));

  const auto barrier = gate.overtake(0);
  ASSERT_TRUE(barrier.has_value());
  EXPECT_EQ(barrier->checkpoint, 1);
  EXPECT_FALSE(gate.overtake(0).has_value()) << "once";
  EXPECT_FALSE(gate.take_log().has_value()) << "input 1 owes its barrier";
  EXPECT_EQ(gate.next()->operator_input, 1);  // read after the snapshot, so it is logged
  channels.push(1, Element::of(rows(101, 1)));
  push_overtaking(channels[1], 1);
  EXPECT_FALSE(gate.overtake(0).has_value());
  const auto log = gate.take_log();
  ASSERT_TRUE(log.has_value());
  EXPECT_EQ(replayed(*log), (std::vector<Events>{{"rows of 0 2 3", "watermark 2"},
                                                 {"rows of 0 100", "rows of 0 101"}}));
  ASSERT_EQ(log->received.size(), 2U);
  EXPECT_EQ(log->received[0].sums.count, 3U);
  EXPECT_EQ(log->received[1].sums.count, 2U);
  // In the running job nothing is lost or doubled, and no barrier follows.
  EXPECT_EQ(read(gate), (Events{"rows of 0 2 3", "rows of 1 101", "rows of 0 50"}));
}

TEST(InputGate, BeforeItsTimeABarrierWaitsAndThenReleasesTheInputsItHeldBack) {
  Channels channels(2);
  InputGate gate = make_gate(channels);
  push_overtaking(channels[0], 1, 1'000);
  channels.push(0, Element::of(rows(9, 1)));
  channels.push(1, Element::of(rows(5, 1)));
  EXPECT_FALSE(gate.overtake(999).has_value());
  EXPECT_EQ(read(gate), Events{"rows of 1 5"});
  ASSERT_TRUE(gate.overtake(1'000).has_value());
  channels.push(1, Element::of(rows(6, 1)));
  EXPECT_EQ(read(gate), (Events{"rows of 0 9", "rows of 1 6"}));
  push_overtaking(channels[1], 1, 1'000);
  (void)gate.overtake(1'001);
  const auto log = gate.take_log();
  ASSERT_TRUE(log.has_value());
  EXPECT_EQ(replayed(*log), (std::vector<Events>{{}, {"rows of 0 6"}}));
}

TEST(InputGate, ABatchThatIsHandedOutInPiecesIsLoggedFromWhereItIs) {
  Channels channels(1);
  InputGate gate = make_gate(channels);
  channels.push(0, Element::of(rows(0, 10)));
  EXPECT_EQ(numbers_of(*gate.next(4)->batch), (std::vector<std::int64_t>{0, 1, 2, 3}));
  push_overtaking(channels[0], 1);
  ASSERT_TRUE(gate.overtake(0).has_value());
  const auto log = gate.take_log();
  ASSERT_TRUE(log.has_value());
  EXPECT_EQ(replayed(*log), (std::vector<Events>{{"rows of 0 4 5 6 7", "rows of 0 8 9"}}));
  EXPECT_EQ(log->received[0].sums.count, 10U) << "received as one batch";
  EXPECT_EQ(read(gate), (Events{"rows of 0 4 5 6 7", "rows of 0 8 9"}));
}

/// G9: a checkpoint while records of the last one are still replayed.
TEST(InputGate, G9_ACheckpointDuringTheReplayHoldsTheRestOfIt) {
  Channels channels(1);
  InputGate gate = make_gate(channels);
  RecoveredChannel recovered;
  recovered.watermark = 7;
  recovered.elements.push_back(Element::of(rows(1, 1)));
  recovered.elements.push_back(Element::of(rows(2, 1)));
  recovered.elements.push_back(Element::of_watermark(8));
  std::vector<RecoveredChannel> all;
  all.push_back(std::move(recovered));
  gate.restore(std::move(all));
  EXPECT_EQ(gate.next()->watermark, 7);
  EXPECT_EQ(numbers_of(*gate.next()->batch), std::vector<std::int64_t>{1});
  channels.push(0, Element::of(rows(20, 1)));
  push_overtaking(channels[0], 5);
  ASSERT_TRUE(gate.overtake(0).has_value());
  const auto log = gate.take_log();
  ASSERT_TRUE(log.has_value());
  EXPECT_EQ(replayed(*log), (std::vector<Events>{{"watermark 7", "rows of 0 2", "watermark 8"},
                                                 {"watermark 7", "rows of 0 20"}}));
  EXPECT_EQ(log->received[0].sums.count, 1U) << "replayed records crossed no edge";
  EXPECT_EQ(read(gate), (Events{"rows of 0 2", "watermark 8", "rows of 0 20"}));
}

/// G6: what operators in front have sent since they opened is behind what was under way.
TEST(InputGate, G6_LiveInputsWaitForTheReplaySoThatNoRestoredRecordIsLate) {
  Channels channels(1);
  InputGate gate = make_gate(channels);
  channels.push(0, Element::of_watermark(100));
  std::vector<RecoveredChannel> all(1);
  all[0].watermark = 10;
  all[0].elements.push_back(Element::of(rows(1, 1)));
  gate.restore(std::move(all));
  EXPECT_EQ(read(gate), (Events{"watermark 10", "rows of 0 1", "watermark 100"}));
}

/// N9: the live channel goes on from the watermark its counterpart had come to.
TEST(InputGate, N9_AfterTheReplayTheLiveInputsStartWhereTheRestoredOnesEnded) {
  Channels channels(2);
  InputGate gate = make_gate(channels);
  std::vector<RecoveredChannel> all(2);
  all[0].edge = 0;
  all[0].watermark = 10;
  all[0].elements.push_back(Element::of_watermark(30));
  all[1].edge = 1;
  all[1].watermark = 20;
  gate.restore(std::move(all));
  EXPECT_EQ(read(gate), (Events{"watermark 10", "watermark 20"}));
  channels.push(1, Element::of_watermark(25));
  EXPECT_EQ(read(gate), Events{"watermark 25"});
}

}  // namespace
}  // namespace weir::runtime::test
