#include "state_processor/new_state.h"

#include <array>
#include <map>
#include <optional>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "state/heap_timer_queue.h"
#include "weir/state_ttl.h"
#include "weir/type_ops.h"

namespace weir::state_processor {
namespace {

using ::testing::HasSubstr;

enum class Color : std::uint16_t { kRed };
struct Packed {
  std::int32_t a = 0;
  Color b = Color::kRed;
  std::array<std::uint8_t, 2> c{};
};
struct Nested {
  std::int64_t first = 0;
  Packed rest;
};
struct Gap {
  std::int8_t a = 0;
  std::int32_t b = 0;
};
struct Tail {
  std::int64_t a = 0;
  std::int32_t b = 0;
};
struct HasText {
  std::int32_t a = 0;
  std::string b;
};
struct HasBool {
  bool a = false;
};

/// The schema that a job with a state of these types stores, and the one made from its texts.
template <class K, class V>
void expect_as_declared() {
  const state::StateSchema declared =
      state::StateSchema::of(state::StateKind::kTable, "s", type_ops<K>(), type_ops<V>());
  const auto made = schema_of_new_state("s", declared.key_schema, declared.value_schema);
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(made.value(), declared)
      << declared.key_schema << " -> " << declared.value_schema << ": " << made.value().key_size
      << ", " << made.value().value_size << " not " << declared.key_size << ", "
      << declared.value_size;
}

TEST(NewState, ItsSchemaIsTheOneThatAJobWouldDeclare) {
  expect_as_declared<std::int64_t, double>();
  expect_as_declared<std::uint8_t, bool>();
  expect_as_declared<std::string, Color>();
  expect_as_declared<Packed, Nested>();
  expect_as_declared<Color, Gap>();
  expect_as_declared<std::int16_t, Tail>();
  expect_as_declared<std::int32_t, HasText>();
  expect_as_declared<Nested, HasBool>();
  expect_as_declared<std::uint64_t, std::array<Packed, 3>>();
  expect_as_declared<std::uint64_t, std::array<Gap, 3>>();
  expect_as_declared<std::uint64_t, std::vector<int>>();
  expect_as_declared<std::uint64_t, std::optional<std::int64_t>>();
  expect_as_declared<std::uint64_t, std::map<int, int>>();
  expect_as_declared<std::int64_t, detail::Expiring<std::int64_t>>();
  expect_as_declared<std::int64_t, detail::Expiring<std::int32_t>>();
  expect_as_declared<std::int64_t, detail::Expiring<Packed>>();
  expect_as_declared<std::int64_t, detail::Expiring<Tail>>();
}

TEST(NewState, TimersAreTimersByTheirNames) {
  for (const std::string name : {"event-time-timers", "processing-time-timers"}) {
    const StateTableDescriptor descriptor =
        state::HeapTimerQueue::descriptor(name, type_ops<std::int32_t>());
    const auto made = schema_of_new_state(name, "i32", "");
    ASSERT_TRUE(made.ok()) << made.error().message;
    EXPECT_EQ(made.value(), state::StateSchema::of(state::StateKind::kTimers, name, *descriptor.key,
                                                   *descriptor.value));
    const auto refused = schema_of_new_state(name, "i32", "i64");
    ASSERT_FALSE(refused.ok());
    EXPECT_THAT(refused.error().message, HasSubstr("leave the schema of the value out"));
  }
}

TEST(NewState, AWrongSchemaIsNamed) {
  const auto wrong_key = schema_of_new_state("s", "struct{a:", "i64");
  ASSERT_FALSE(wrong_key.ok());
  EXPECT_EQ(wrong_key.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(wrong_key.error().message, HasSubstr("the schema of the key"));
  const auto wrong_value = schema_of_new_state("s", "i64", "list<");
  ASSERT_FALSE(wrong_value.ok());
  EXPECT_THAT(wrong_value.error().message, HasSubstr("the schema of the value"));
}

}  // namespace
}  // namespace weir::state_processor
