// Group J of the bug catalogue is about watermarks, which the simulator does not have: its bugs are
// planted in the valve itself.
#include <gtest/gtest.h>

#include "base/planted_bug.h"
#include "runtime/watermark_valve.h"

namespace weir::runtime {
namespace {

/// Input 1 comes back from idle far behind: it must not hold up input 0 until it has caught up.
bool goes_on_past_one_that_catches_up() {
  WatermarkValve valve(2);
  valve.on_watermark(0, 10);
  valve.on_watermark(1, 10);
  valve.on_idle(1);
  valve.on_watermark(0, 50);
  valve.on_active(1);
  return valve.on_watermark(0, 60).watermark == 60;
}

/// Input 1 has ended: the minimum is input 0's alone.
bool goes_on_past_one_that_ended() {
  WatermarkValve valve(2);
  valve.on_watermark(0, 10);
  return valve.on_end(1).watermark == 10;
}

TEST(PlantedBug, J1AnInputThatTurnsActiveCountsBeforeItHasCaughtUp) {
  EXPECT_TRUE(goes_on_past_one_that_catches_up());
  planted_bug_id() = "J1";
  EXPECT_FALSE(goes_on_past_one_that_catches_up());
  planted_bug_id().clear();
}

TEST(PlantedBug, J4AnInputThatEndedStaysInTheMinimum) {
  EXPECT_TRUE(goes_on_past_one_that_ended());
  planted_bug_id() = "J4";
  EXPECT_FALSE(goes_on_past_one_that_ended());
  planted_bug_id().clear();
}

}  // namespace
}  // namespace weir::runtime
