#include "state/operator_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "state/test_support.h"

namespace weir::state::test {

// Outside the unnamed namespace: clang warns of reflected types that have internal linkage.
namespace operator_state_test {
struct OldRule {
  std::int32_t limit = 0;
  std::string unused;
};
struct NewRule {
  std::string note = "none";
  std::int64_t limit = 0;
};
struct SmallRule {
  std::int16_t limit = 0;
};
}  // namespace operator_state_test

namespace {

using namespace operator_state_test;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Redistribution = OperatorStateBackend::Redistribution;
using Descriptor = OperatorStateBackend::Descriptor;
using Items = std::vector<std::string>;

template <class T>
Descriptor list_of(std::string name, Redistribution redistribution = Redistribution::kSplit) {
  return {std::move(name), redistribution, nullptr, &type_ops<T>()};
}
template <class K, class V>
Descriptor map_of(std::string name) {
  return {std::move(name), Redistribution::kBroadcast, &type_ops<K>(), &type_ops<V>()};
}
std::string entry_of(const std::string& key, const std::string& value) {
  std::string item;
  Encoder out(item);
  out.varint(key.size());
  out.bytes(key.data(), key.size());
  out.bytes(value.data(), value.size());
  return item;
}
template <class T>
MemoryOperatorState::List stored_list(Items items) {
  return {Redistribution::kSplit, std::move(items), "", type_ops<T>().schema(), 0};
}

TEST(MemoryOperatorState, KeepsWhatWasNotReplacedAndDoesNotMultiplyUnions) {
  const std::string text = "string";
  MemoryOperatorState state;
  state.set_restored({{"splits", {Redistribution::kSplit, {"a", "b"}, "", "", 0}},
                      {"all", {Redistribution::kUnion, {"x", "y", "z"}, "", text, 2}},
                      {"opened", {Redistribution::kUnion, {"x", "y"}, "", "", 1}},
                      {"rules", {Redistribution::kBroadcast, {"r"}, text, text, 0}}});
  EXPECT_THAT(value_or_fail(state.open(list_of<std::string>("splits"))).items,
              ElementsAre("a", "b"));
  const auto opened =
      value_or_fail(state.open(list_of<std::string>("opened", Redistribution::kUnion)));
  EXPECT_THAT(opened.items, ElementsAre("x", "y"));
  EXPECT_EQ(opened.others, 1U);
  EXPECT_THAT(state.unclaimed(), ElementsAre("all", "rules"));
  state.set("splits", {"c"});
  const auto lists = state.snapshot();
  EXPECT_THAT(lists.at("splits").items, ElementsAre("c"));
  EXPECT_EQ(lists.at("splits").value_schema, text);
  EXPECT_THAT(lists.at("all").items, ElementsAre("z"));
  EXPECT_EQ(lists.at("all").others, 0U);
  EXPECT_EQ(lists.at("all").value_schema, text);
  EXPECT_THAT(lists.at("opened").items, ElementsAre("y"));
  EXPECT_THAT(lists.at("rules").items, ElementsAre("r"));
  EXPECT_EQ(lists.at("rules").key_schema, text);
}

TEST(MemoryOperatorState, ItemsAreMatchedByTheNamesOfTheirFields) {
  MemoryOperatorState state;
  const OldRule old{-7, "x"};
  state.set_restored({{"list", stored_list<OldRule>({encode_value(old)})},
                      {"map",
                       {Redistribution::kBroadcast,
                        {entry_of(encode_value(std::string("k")), encode_value(old))},
                        "string",
                        type_ops<OldRule>().schema(),
                        0}}});
  const auto list = value_or_fail(state.open(list_of<NewRule>("list")));
  const auto rule = decode_value<NewRule>(list.items.at(0));
  ASSERT_TRUE(rule.has_value());
  EXPECT_EQ(rule->limit, -7);
  EXPECT_EQ(rule->note, "none");
  EXPECT_EQ(state.snapshot().at("list").items, list.items);
  EXPECT_EQ(state.snapshot().at("list").value_schema, type_ops<NewRule>().schema());
  const auto map = value_or_fail(state.open(map_of<std::string, NewRule>("map")));
  EXPECT_THAT(map.items, ElementsAre(entry_of(encode_value(std::string("k")), list.items.at(0))));
}

TEST(MemoryOperatorState, WhatDoesNotFitIsRefusedWithTheReason) {
  MemoryOperatorState state;
  const std::string rule = type_ops<OldRule>().schema();
  state.set_restored({{"list", stored_list<OldRule>({})},
                      {"map", {Redistribution::kBroadcast, {}, "i64", rule, 0}},
                      {"damaged", stored_list<OldRule>({"?"})}});
  const auto refusal = [&](const Descriptor& descriptor) {
    const auto opened = state.open(descriptor);
    return opened.ok() ? "opened" : opened.error().message;
  };
  EXPECT_THAT(
      refusal(list_of<SmallRule>("list")),
      AllOf(HasSubstr("operator state 'list': was stored as list state of struct{limit:i32"),
            HasSubstr("limit: i32 cannot become i16")));
  EXPECT_THAT(refusal(list_of<OldRule>("list", Redistribution::kUnion)),
              AllOf(HasSubstr("the job declares union list state"), HasSubstr("another name")));
  EXPECT_THAT(refusal(map_of<std::string, OldRule>("map")),
              HasSubstr("the type of a key cannot change"));
  EXPECT_THAT(refusal(list_of<NewRule>("damaged")), HasSubstr("not of its stored schema"));
  ASSERT_TRUE(state.open(list_of<OldRule>("new")).ok());
  EXPECT_THAT(refusal(list_of<OldRule>("new")), HasSubstr("declared twice"));
}

}  // namespace
}  // namespace weir::state::test
