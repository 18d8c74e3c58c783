#include "weir/key_hash.h"

#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "weir/key_group.h"

namespace weir {

struct Route {
  std::string from;
  std::string to;
  friend bool operator==(const Route&, const Route&) = default;
};
struct Cell {
  std::int32_t x;
  std::uint8_t y;
  friend bool operator==(const Cell&, const Cell&) = default;
};
struct Deep {
  Cell cell;
  std::pair<int, std::string> pair;
  friend bool operator==(const Deep&, const Deep&) = default;
};
struct WithDouble {
  double x;
  friend bool operator==(const WithDouble&, const WithDouble&) = default;
};
struct WithoutEquality {
  int x;
};
enum class Colour : std::int16_t { kRed = -3, kBlue = 9 };

namespace {

void expect_hash(std::uint32_t hash, std::uint32_t expected, int group_of_128) {
  EXPECT_EQ(hash, expected);
  EXPECT_EQ(key_group_of(hash, 128), group_of_128);
}

// A stable format (docs/formats/key-hash.md): state is stored under the key group that follows
// from these numbers. If this test fails, restore it, not the numbers.
TEST(KeyHash, TheseValuesNeverChange) {
  expect_hash(key_hash(0), 0x00000000U, 94);
  expect_hash(key_hash(1), 0x9e3779b9U, 108);
  expect_hash(key_hash(42), 0xf519f86eU, 99);
  expect_hash(key_hash(-1), 0x80b583ebU, 34);
  expect_hash(key_hash(std::numeric_limits<std::int64_t>::min()), 0x3fa53e0aU, 21);
  expect_hash(key_hash(std::numeric_limits<std::uint64_t>::max()), 0x80b583ebU, 34);
  expect_hash(key_hash(std::string()), 0x2d068005U, 16);
  expect_hash(key_hash(std::string("a")), 0xe6c632b6U, 69);
  expect_hash(key_hash(std::string("hello")), 0x9555e855U, 77);
  expect_hash(key_hash(std::string(300, 'x')), 0xa5d1b460U, 112);
  expect_hash(key_hash(std::pair<int, int>(1, 2)), 0x44189873U, 39);
  expect_hash(key_hash(Route{"AMS", "JFK"}), 0xe9a96c21U, 120);
  expect_hash(key_hash(Cell{-5, 200}), 0xffba1eb0U, 48);
  expect_hash(key_hash(Deep{{1, 2}, {3, "four"}}), 0xe746d788U, 119);
}

TEST(KeyHash, TheWidthAndSignednessOfAnIntegerDoNotMatterWhereTheValueIsEqual) {
  EXPECT_EQ(key_hash(std::int8_t{7}), key_hash(std::uint64_t{7}));
  EXPECT_EQ(key_hash(std::int32_t{-7}), key_hash(std::int64_t{-7}));
  EXPECT_EQ(key_hash(Colour::kRed), key_hash(-3));
  EXPECT_EQ(key_hash(true), key_hash(1));
  EXPECT_NE(key_hash(std::uint32_t{0xffffffff}), key_hash(std::int32_t{-1}));
}

TEST(KeyHash, TheOrderOfMembersMatters) {
  EXPECT_NE(key_hash(Route{"a", "b"}), key_hash(Route{"b", "a"}));
  EXPECT_NE(key_hash(std::pair<int, int>(1, 2)), key_hash(std::pair<int, int>(2, 1)));
}

TEST(KeyHash, APairHashesAsTheAggregateOfItsMembers) {
  EXPECT_EQ(key_hash(std::pair<std::string, std::string>("a", "b")), key_hash(Route{"a", "b"}));
}

TEST(KeyHash, SpreadsConsecutiveKeysOverAllKeyGroups) {
  std::set<int> of_integers;
  std::set<int> of_strings;
  for (int key = 0; key < 2000; ++key) {
    of_integers.insert(key_group_of(key_hash(key), 128));
    of_strings.insert(key_group_of(key_hash(std::to_string(key)), 128));
  }
  EXPECT_EQ(of_integers.size(), 128U);
  EXPECT_EQ(of_strings.size(), 128U);
}

TEST(KeyHash, WhatCanBeAKeyIsDecidedAtCompileTime) {
  static_assert(Key<int>);
  static_assert(Key<bool>);
  static_assert(Key<Colour>);
  static_assert(Key<std::string>);
  static_assert(Key<Route>);
  static_assert(Key<Deep>);
  static_assert(Key<std::pair<int, std::string>>);
  static_assert(!Key<double>);
  static_assert(!Key<WithDouble>);
  static_assert(!Key<std::pair<int, float>>);
  static_assert(!Key<WithoutEquality>);
  static_assert(!Key<std::string_view>);
  static_assert(!Key<const char*>);
}

}  // namespace
}  // namespace weir
