#include "runtime/input_gate.h"

#include <string>
#include <vector>

#include "runtime/runtime_harness.h"

namespace weir::runtime::test {
namespace {

using checkpoint::AlignmentMode;
using Kind = InputGate::Event::Kind;

InputGate make_gate(Channels& channels, AlignmentMode mode = AlignmentMode::kExactlyOnce) {
  std::vector<InputGate::Input> inputs;
  for (std::size_t i = 0; i < channels.size(); ++i) {
    inputs.push_back({&channels[i], static_cast<int>(i), static_cast<int>(i)});
  }
  return {std::move(inputs), mode};
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

}  // namespace
}  // namespace weir::runtime::test
