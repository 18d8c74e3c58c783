#include "runtime/watermark_valve.h"

#include <gtest/gtest.h>

namespace weir::runtime {
namespace {

TEST(WatermarkValve, EmitsTheMinimumOfItsInputs) {
  WatermarkValve valve(2);
  EXPECT_FALSE(valve.on_watermark(0, 10).watermark.has_value());
  EXPECT_EQ(valve.on_watermark(1, 5).watermark, 5);
  EXPECT_EQ(valve.on_watermark(1, 20).watermark, 10);
}

TEST(WatermarkValve, J6_NeverGoesBack) {
  WatermarkValve valve(1);
  EXPECT_EQ(valve.on_watermark(0, 10).watermark, 10);
  EXPECT_FALSE(valve.on_watermark(0, 7).watermark.has_value());
  EXPECT_EQ(valve.current(), 10);
}

TEST(WatermarkValve, AnIdleInputHoldsNothingBack) {
  WatermarkValve valve(2);
  (void)valve.on_watermark(0, 10);
  EXPECT_EQ(valve.on_idle(1).watermark, 10);
}

// J1: the result does not depend on the order of idleness events.
TEST(WatermarkValve, J1_AnInputBackFromIdleTakesPartOnlyOnceItHasCaughtUp) {
  WatermarkValve valve(2);
  (void)valve.on_idle(1);
  EXPECT_EQ(valve.on_watermark(0, 10).watermark, 10);
  (void)valve.on_active(1);
  EXPECT_EQ(valve.on_watermark(0, 12).watermark, 12);  // input 1 is behind: ignored
  EXPECT_FALSE(valve.on_watermark(1, 8).watermark.has_value());
  (void)valve.on_watermark(1, 12);
  EXPECT_FALSE(valve.on_watermark(0, 20).watermark.has_value());  // now it holds back
  EXPECT_EQ(valve.on_watermark(1, 15).watermark, 15);
}

TEST(WatermarkValve, J6_WhenAllInputsTurnIdleTheMaximumIsEmittedFirst) {
  WatermarkValve valve(2);
  (void)valve.on_watermark(0, 10);
  (void)valve.on_watermark(1, 30);
  (void)valve.on_idle(0);
  const auto change = valve.on_idle(1);
  EXPECT_EQ(valve.current(), 30);
  EXPECT_EQ(change.is_idle, true);
  EXPECT_EQ(valve.on_active(0).is_idle, false);
}

// J4: finished inputs leave the minimum.
TEST(WatermarkValve, J4_AnEndedInputHoldsNothingBack) {
  WatermarkValve valve(2);
  (void)valve.on_watermark(0, 10);
  EXPECT_EQ(valve.on_end(1).watermark, 10);
  EXPECT_EQ(valve.on_end(0).watermark, kMaxTimestamp);
}

// Or else the records of an input that was merely idle would all be late.
TEST(WatermarkValve, TheFinalWatermarkWaitsForIdleInputsToo) {
  WatermarkValve valve(3);
  (void)valve.on_watermark(0, 10);
  (void)valve.on_watermark(1, 20);
  (void)valve.on_idle(1);
  (void)valve.on_idle(2);
  EXPECT_EQ(valve.current(), 10);
  const auto ended = valve.on_watermark(0, kMaxTimestamp);  // what a source sends at its end
  EXPECT_EQ(valve.current(), 20);
  EXPECT_EQ(ended.is_idle, true);  // only idle inputs are left
  EXPECT_EQ(valve.on_end(0).watermark, std::nullopt);
  EXPECT_EQ(valve.on_active(1).is_idle, false);
  EXPECT_EQ(valve.on_watermark(1, 25).watermark, 25);
  EXPECT_EQ(valve.on_end(1).is_idle, true);
  const auto all_ended = valve.on_end(2);
  EXPECT_EQ(all_ended.watermark, kMaxTimestamp);
  EXPECT_EQ(all_ended.is_idle, false);  // downstream ignores watermarks of idle inputs
}

TEST(WatermarkValve, AnInputThatEndsWhileAllAreIdleSaysSo) {
  WatermarkValve valve(1);
  EXPECT_EQ(valve.on_idle(0).is_idle, true);
  const auto change = valve.on_end(0);
  EXPECT_EQ(change.is_idle, false);
  EXPECT_EQ(change.watermark, kMaxTimestamp);
}

}  // namespace
}  // namespace weir::runtime
