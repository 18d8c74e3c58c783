#include "state_processor/encoded_key.h"

#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "weir/codec.h"
#include "weir/key_hash.h"
#include "weir/type_ops.h"

namespace weir::state_processor {

namespace encoded_key_test {
enum class Side : std::int16_t { kBuy = -1, kSell = 1 };
struct Route {
  std::string from;
  std::string to;
  friend bool operator==(const Route&, const Route&) = default;
};
struct Leg {
  Route route;
  std::int8_t number = 0;
  Side side = Side::kBuy;
  bool is_last = false;
  friend bool operator==(const Leg&, const Leg&) = default;
};
}  // namespace encoded_key_test

namespace {

using namespace encoded_key_test;

template <class K>
void expect_same_hash(const K& key) {
  const Schema schema = Schema::parse(Codec<K>::schema()).value();
  const auto hash = hash_encoded_key(schema, encode_value(key));
  ASSERT_TRUE(hash.ok()) << hash.error().message;
  EXPECT_EQ(hash.value(), key_hash(key)) << schema.to_string();
}

template <class T>
void expect_same_hashes_of_integers() {
  for (const auto& value : {std::numeric_limits<T>::min(), std::numeric_limits<T>::max(), T{0},
                            T{1}, static_cast<T>(-1), static_cast<T>(42)}) {
    expect_same_hash(value);
  }
}

TEST(EncodedKey, HashesAsTheKeyItself) {
  expect_same_hashes_of_integers<std::int8_t>();
  expect_same_hashes_of_integers<std::uint8_t>();
  expect_same_hashes_of_integers<std::int16_t>();
  expect_same_hashes_of_integers<std::uint16_t>();
  expect_same_hashes_of_integers<std::int32_t>();
  expect_same_hashes_of_integers<std::uint32_t>();
  expect_same_hashes_of_integers<std::int64_t>();
  expect_same_hashes_of_integers<std::uint64_t>();
  expect_same_hash(true);
  expect_same_hash(Side::kBuy);
  expect_same_hash(std::string());
  expect_same_hash(std::string("hello"));
  expect_same_hash(std::pair<std::int32_t, std::string>(-7, "x"));
  expect_same_hash(Route{"AMS", "JFK"});
  expect_same_hash(Leg{{"AMS", "JFK"}, -3, Side::kSell, true});
}

TEST(EncodedKey, WhatIsNoKeyIsRefused) {
  const auto refused = [](const char* schema, const std::string& encoded) {
    return !hash_encoded_key(Schema::parse(schema).value(), encoded).ok();
  };
  EXPECT_TRUE(refused("f64", std::string(8, '\0')));
  EXPECT_TRUE(refused("list<i32>", std::string(1, '\0')));
  EXPECT_TRUE(refused("struct{a:i32,b:f32}", std::string(8, '\0')));
  EXPECT_TRUE(refused("i32", std::string(3, '\0'))) << "too short";
  EXPECT_TRUE(refused("i32", std::string(5, '\0'))) << "too long";
}

}  // namespace
}  // namespace weir::state_processor
