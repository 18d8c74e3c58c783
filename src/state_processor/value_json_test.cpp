#include "state_processor/value_json.h"

#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "weir/state_ttl.h"
#include "weir/type_ops.h"

namespace weir::state_processor {

namespace value_json_test {
enum class Colour : std::uint8_t { kRed = 1, kBlue = 2 };
struct Point {
  std::int32_t x = 0;
  std::uint64_t y = 0;
};
struct Everything {
  bool flag = false;
  std::int8_t small = 0;
  std::int64_t large = 0;
  std::uint64_t huge = 0;
  float single = 0;
  double real = 0;
  std::string text;
  Colour colour = Colour::kRed;
  std::array<std::int16_t, 2> pair{};
  std::optional<Point> maybe;
  std::optional<std::optional<std::int32_t>> twice;
  std::vector<Point> points;
  std::set<std::int32_t> numbers;
  std::map<std::string, double> named;
  std::map<std::int32_t, std::string> numbered;
};
struct Temperature {
  double degrees = 0;
};
}  // namespace value_json_test

}  // namespace weir::state_processor

template <>
struct weir::Codec<weir::state_processor::value_json_test::Temperature> {
  using Temperature = weir::state_processor::value_json_test::Temperature;
  static std::string schema() { return "temperature"; }
  static void encode(const Temperature& value, Encoder& out) { out.raw(value.degrees); }
  static void decode(Decoder& in, Temperature& value) { value.degrees = in.raw<double>(); }
};

namespace weir::state_processor {
namespace {

using namespace value_json_test;
using ::testing::HasSubstr;

template <class T>
Schema schema_of() {
  return Schema::parse(Codec<T>::schema()).value();
}

/// The JSON of a value, after it was found to become the same bytes again.
template <class T>
Json round_trip(const T& value) {
  const std::string encoded = encode_value(value);
  const auto json = value_to_json(schema_of<T>(), encoded);
  EXPECT_TRUE(json.ok()) << json.error().message;
  if (!json.ok()) {
    return {};
  }
  std::string again;
  const Status fits = json_to_value(schema_of<T>(), Json::parse(json.value().dump()), again);
  EXPECT_TRUE(fits.ok()) << fits.error().message;
  EXPECT_EQ(again, encoded) << json.value();
  return json.value();
}

template <class T>
std::string refusal_of(const std::string& json) {
  std::string encoded;
  const Status fits = json_to_value(schema_of<T>(), Json::parse(json), encoded);
  return fits.ok() ? "" : fits.error().message;
}

TEST(ValueJson, EveryKindOfPart) {
  Everything all;
  all.flag = true;
  all.small = -128;
  all.large = std::numeric_limits<std::int64_t>::min();
  all.huge = std::numeric_limits<std::uint64_t>::max();
  all.single = 0.1F;
  all.real = -1e300;
  all.text = "a \"b\" \u00e9";
  all.colour = Colour::kBlue;
  all.pair = {-1, 2};
  all.maybe = Point{3, 4};
  all.twice = std::optional<std::int32_t>();
  all.points = {{1, 2}, {-3, 4}};
  all.numbers = {3, 1};
  all.named = {{"a", 1.5}, {"b", 2}};
  all.numbered = {{1, "x"}};
  const Json json = round_trip(all);
  EXPECT_EQ(json.at("huge").get<std::uint64_t>(), all.huge);
  EXPECT_EQ(json.at("maybe"), Json::parse(R"({"x":3,"y":4})"));
  EXPECT_EQ(json.at("twice"), Json::parse("[null]"));
  EXPECT_EQ(json.at("points").at(1).at("x"), -3);
  EXPECT_EQ(json.at("named"), Json::parse(R"({"a":1.5,"b":2.0})"));
  EXPECT_EQ(json.at("numbered"), Json::parse(R"([[1,"x"]])"));
  EXPECT_TRUE(round_trip(Everything()).at("maybe").is_null());
}

TEST(ValueJson, WhatJsonHasNoWordFor) {
  EXPECT_EQ(round_trip(std::numeric_limits<double>::infinity()), "Infinity");
  EXPECT_EQ(round_trip(-std::numeric_limits<float>::infinity()), "-Infinity");
  EXPECT_EQ(round_trip(std::numeric_limits<double>::quiet_NaN()), "NaN");
  EXPECT_EQ(round_trip(std::string("\xff\x00", 2)), Json::parse(R"({"b64":"/wA="})"));
  EXPECT_EQ(round_trip(Temperature{1.0}), Json::parse(R"({"b64":"AAAAAAAA8D8="})"));
  EXPECT_TRUE(round_trip(std::map<std::string, int>{{"\xff", 1}}).is_array());
  const Json expiring = round_trip(detail::Expiring<std::int32_t>{7, 1000});
  EXPECT_EQ(expiring, Json::parse(R"({"value":7,"last_access_ms":1000})"));
}

TEST(ValueJson, APartOfTheJobsOwnFormIsRefused) {
  const auto json = value_to_json(schema_of<std::vector<Temperature>>(),
                                  encode_value(std::vector<Temperature>(2)));
  ASSERT_FALSE(json.ok());
  EXPECT_THAT(json.error().message, HasSubstr("temperature"));
}

TEST(ValueJson, DamagedValuesAreErrors) {
  const std::string encoded = encode_value(Everything());
  for (std::size_t size = 0; size < encoded.size(); ++size) {
    EXPECT_FALSE(value_to_json(schema_of<Everything>(), encoded.substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(value_to_json(schema_of<Everything>(), encoded + "x").ok());
  EXPECT_FALSE(value_to_json(schema_of<bool>(), "\x02").ok());
  EXPECT_FALSE(value_to_json(schema_of<std::vector<int>>(), "\xff\xff\xff\xff\x0f").ok());
}

TEST(ValueJson, WrongJsonNamesThePart) {
  EXPECT_THAT(refusal_of<Point>(R"({"x":1})"), HasSubstr("a member 'y'"));
  EXPECT_THAT(refusal_of<Point>(R"({"x":1,"y":2,"z":3})"), HasSubstr("no member 'z'"));
  EXPECT_THAT(refusal_of<Point>(R"({"x":2147483648,"y":0})"), HasSubstr("x: expected an integer"));
  EXPECT_THAT(refusal_of<Point>(R"({"x":1.5,"y":0})"), HasSubstr("x: expected an integer"));
  EXPECT_THAT(refusal_of<std::vector<Point>>(R"([{"x":0,"y":0},{"x":0,"y":-1}])"),
              HasSubstr("[1].y: expected a number from 0 on"));
  EXPECT_THAT(refusal_of<std::int64_t>("9223372036854775808"), HasSubstr("an integer of 64 bits"));
  EXPECT_THAT(refusal_of<std::int8_t>("-129"), HasSubstr("an integer of 8 bits"));
  EXPECT_THAT(refusal_of<std::uint8_t>("256"), HasSubstr("8 bits"));
  EXPECT_THAT(refusal_of<std::string>(R"({"b64":"?"})"), HasSubstr("a string"));
  EXPECT_THAT((refusal_of<std::array<int, 2>>("[1]")), HasSubstr("an array of 2"));
  EXPECT_THAT((refusal_of<std::map<int, int>>("{}")), HasSubstr("an array of pairs"));
  EXPECT_THAT((refusal_of<std::map<int, int>>("[[1]]")), HasSubstr("[0]: expected [key, value]"));
  EXPECT_THAT(refusal_of<bool>("1"), HasSubstr("true or false"));
  EXPECT_THAT(refusal_of<double>(R"("1")"), HasSubstr("a number"));
  EXPECT_EQ(refusal_of<std::int8_t>("-128"), "");
  EXPECT_EQ(refusal_of<double>("1"), "");
}

}  // namespace
}  // namespace weir::state_processor
