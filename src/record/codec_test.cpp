#include "weir/codec.h"

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "weir/type_ops.h"

namespace weir {
namespace codec_test {

enum class Colour : std::uint16_t { kRed = 1, kBlue = 700 };
enum class Truth : bool { kNo, kYes };

struct Point {
  std::int32_t x = 0;
  std::int32_t y = 0;
  friend bool operator==(const Point&, const Point&) = default;
};
struct Padded {
  std::int32_t small = 0;
  std::int64_t large = 0;
};
struct WithBool {
  bool flag = false;
};
struct WithTruth {
  Truth truth = Truth::kNo;
};
struct Everything {
  bool flag = false;
  std::int8_t tiny = 0;
  std::uint64_t large = 0;
  float single = 0;
  double number = 0;
  Colour colour = Colour::kRed;
  std::string text;
  std::array<Point, 2> corners{};
  std::optional<std::string> note;
  std::pair<int, std::string> pair;
  std::vector<Point> path;
  std::vector<bool> bits;
  std::map<std::string, std::vector<int>> index;
  std::unordered_map<int, Point> by_id;
  std::set<std::string> tags;
  std::unordered_set<int> seen;
  friend bool operator==(const Everything&, const Everything&) = default;
};
struct WithPointer {
  std::shared_ptr<int> pointer;
};
struct Deep {
  std::vector<std::map<int, WithPointer>> inside;
};
struct Tree {
  std::vector<Tree> children;
};
struct Forest {
  std::map<int, Tree> trees;
};
struct WithName {
  int number = 0;
  char name[16] = {};
};
struct Example {
  std::int32_t id = 0;
  std::string name;
  std::optional<double> price;
};

/// Brings its own encoding: celsius in tenths of a degree.
struct Temperature {
  float celsius = 0;
  friend bool operator==(const Temperature&, const Temperature&) = default;
};
struct Reading {
  Temperature temperature;
};

}  // namespace codec_test

template <>
struct Codec<codec_test::Temperature> {
  static std::string schema() { return "temperature"; }
  static void encode(const codec_test::Temperature& value, Encoder& out) {
    out.raw(static_cast<std::int32_t>(value.celsius * 10));
  }
  static void decode(Decoder& in, codec_test::Temperature& value) {
    value.celsius = static_cast<float>(in.raw<std::int32_t>()) / 10;
  }
};

namespace codec_test {
namespace {

using std::string_literals::operator""s;

Everything random_value(std::mt19937_64& random) {
  const auto below = [&](std::uint64_t bound) { return random() % bound; };
  const auto text = [&] { return std::string(below(40), static_cast<char>(random())); };
  const auto number = [&] { return static_cast<int>(random()); };
  Everything value;
  value.flag = below(2) == 0;
  value.tiny = static_cast<std::int8_t>(random());
  value.large = random() >> below(64);
  value.single = static_cast<float>(number());
  value.number = static_cast<double>(number()) / 7;
  value.colour = below(2) == 0 ? Colour::kRed : Colour::kBlue;
  value.text = text();
  value.corners = {Point{number(), number()}, Point{number(), number()}};
  if (below(2) == 0) {
    value.note = text();
  }
  value.pair = {number(), text()};
  value.path.resize(below(5), Point{number(), 0});
  value.bits.resize(below(20), true);
  for (std::uint64_t i = below(4); i > 0; --i) {
    value.index[text()] = std::vector<int>(below(4), number());
    value.by_id[number()] = Point{number(), number()};
    value.tags.insert(text());
    value.seen.insert(number());
  }
  return value;
}

template <class T>
void expect_round_trip(const T& value) {
  const std::optional<T> decoded = decode_value<T>(encode_value(value));
  ASSERT_TRUE(decoded.has_value());
  EXPECT_TRUE(*decoded == value);
}

TEST(Codec, EveryValueComesBack) {
  expect_round_trip(true);
  expect_round_trip(std::numeric_limits<std::int64_t>::min());
  expect_round_trip(std::numeric_limits<std::uint64_t>::max());
  expect_round_trip(-0.5F);
  expect_round_trip('c');
  expect_round_trip(Colour::kBlue);
  expect_round_trip(Truth::kYes);
  expect_round_trip(std::string("a\0b", 3));
  expect_round_trip(std::string(1000, 'x'));
  expect_round_trip(std::vector<std::vector<std::string>>{{}, {"a", ""}});
  expect_round_trip(std::optional<std::optional<int>>(std::optional<int>()));
  std::mt19937_64 random(1);
  for (int i = 0; i < 500; ++i) {
    expect_round_trip(random_value(random));
  }
}

// The worked example of docs/formats/codec.md.
TEST(Codec, TheEncodedFormIsTheDocumentedOne) {
  EXPECT_EQ(encode_value(Example{258, "ab", 1.0}),
            "\x02\x01\x00\x00"  // id
            "\x02"
            "ab"                                     // name
            "\x01\x00\x00\x00\x00\x00\x00\xf0\x3f"s  // price
  );
  EXPECT_EQ(encode_value(Example{-1, "", std::nullopt}), "\xff\xff\xff\xff\x00\x00"s);
  EXPECT_EQ(encode_value(std::string(300, 'x')).substr(0, 2), "\xac\x02"s);  // LEB128
  EXPECT_EQ(encode_value(std::map<std::int8_t, bool>{{2, true}, {1, false}}),
            "\x02\x01\x00\x02\x01"s);
}

TEST(Codec, TheSchemaTellsTypesAndNames) {
  EXPECT_EQ(Codec<Example>::schema(), "struct{id:i32,name:string,price:optional<f64>}");
  EXPECT_EQ(Codec<Everything>::schema(),
            "struct{flag:bool,tiny:i8,large:u64,single:f32,number:f64,colour:enum<u16>,"
            "text:string,corners:array<struct{x:i32,y:i32},2>,note:optional<string>,"
            "pair:struct{first:i32,second:string},path:list<struct{x:i32,y:i32}>,"
            "bits:list<bool>,index:map<string,list<i32>>,by_id:map<i32,struct{x:i32,y:i32}>,"
            "tags:set<string>,seen:set<i32>}");
  EXPECT_EQ(Codec<char>::schema(), "i8");
  EXPECT_EQ(Codec<unsigned short>::schema(), "u16");
  EXPECT_EQ(Codec<long long>::schema(), Codec<long>::schema());
}

// A record type need not be storable to travel within the process, so this must not be an error.
TEST(Codec, AnUnstorableMemberMakesTheWholeUnstorable) {
  static_assert(Encodable<Everything>);
  static_assert(!Encodable<std::shared_ptr<int>>);
  static_assert(!Encodable<WithPointer>);
  static_assert(!Encodable<Deep>);
  static_assert(!Encodable<Tree>);
  static_assert(!Encodable<std::vector<Forest>>);
  static_assert(!Encodable<WithName>);
  static_assert(!Encodable<std::optional<WithPointer>>);
  EXPECT_EQ(type_ops<WithPointer>().encode, nullptr);
  EXPECT_NE(type_ops<Everything>().encode, nullptr);
  // std::vector declares an operator== for elements that have none.
  EXPECT_EQ(type_ops<std::vector<Example>>().equals, nullptr);
  EXPECT_NE(type_ops<std::vector<Point>>().equals, nullptr);
}

TEST(Codec, ATypeMayBringItsOwnForm) {
  EXPECT_EQ(encode_value(Temperature{36.6F}), "\x6e\x01\x00\x00"s);
  EXPECT_EQ(Codec<Reading>::schema(), "struct{temperature:temperature}");
  EXPECT_EQ(decode_value<Reading>("\x6e\x01\x00\x00"s)->temperature, Temperature{36.6F});
}

// Where this is true a memcpy replaces the codec: it must never be true by mistake.
TEST(Codec, OnlyTypesWhoseMemoryIsTheEncodedFormEncodeRaw) {
  static_assert(kEncodesRaw<std::int64_t>);
  static_assert(kEncodesRaw<double>);
  static_assert(kEncodesRaw<Colour>);
  static_assert(kEncodesRaw<Point>);
  static_assert(kEncodesRaw<std::array<Point, 3>>);
  static_assert(!kEncodesRaw<bool>);
  static_assert(!kEncodesRaw<Truth>);
  static_assert(!kEncodesRaw<WithBool>);
  static_assert(!kEncodesRaw<WithTruth>);
  static_assert(!kEncodesRaw<Padded>);
  static_assert(!kEncodesRaw<std::array<Padded, 2>>);
  static_assert(!kEncodesRaw<std::optional<int>>);
  static_assert(!kEncodesRaw<std::pair<int, int>>);
  static_assert(!kEncodesRaw<std::string>);
  static_assert(!kEncodesRaw<Example>);
  static_assert(!kEncodesRaw<Temperature>, "it has a form of its own");
  static_assert(!kEncodesRaw<Reading>, "a member has a form of its own");
  const Point point{3, -4};
  EXPECT_EQ(encode_value(point), std::string(reinterpret_cast<const char*>(&point), sizeof(point)));
}

TEST(Decoder, AVarintComesBackAndAnOverlongOneIsMalformed) {
  for (int bit = 0; bit < 64; ++bit) {
    const std::uint64_t value = (std::uint64_t{1} << bit) | 1;
    std::string bytes;
    Encoder(bytes).varint(value);
    Decoder decoder(bytes);
    EXPECT_EQ(decoder.varint(), value);
    EXPECT_TRUE(decoder.exhausted());
  }
  const std::string eleven_bytes = std::string(10, '\x80') + "\x01";
  EXPECT_EQ(Decoder(eleven_bytes).varint(), 0U);
  const std::string more_than_64_bits = std::string(9, '\xff') + "\x02";
  Decoder decoder(more_than_64_bits);
  EXPECT_EQ(decoder.varint(), 0U);
  EXPECT_FALSE(decoder.ok());
}

TEST(Decoder, TheFirstMalformedValueSpoilsAllThatFollow) {
  Decoder decoder(
      "\x05"
      "ab");
  EXPECT_EQ(decoder.count(), 0U);  // more than there is
  EXPECT_FALSE(decoder.ok());
  EXPECT_EQ(decoder.raw<std::uint8_t>(), 0);
  EXPECT_EQ(decoder.view(1), "");
  EXPECT_EQ(decoder.remaining(), 0U);
}

TEST(Decoder, RefusesTooFewAndTooManyBytes) {
  const std::string bytes = encode_value(Example{1, "name", 2.0});
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(decode_value<Example>(bytes.substr(0, size)).has_value(), false) << size;
  }
  EXPECT_FALSE(decode_value<Example>(bytes + "x").has_value());
  EXPECT_FALSE(decode_value<bool>("\x02").has_value());
  EXPECT_FALSE(decode_value<Truth>("\x02").has_value());
  EXPECT_FALSE(decode_value<std::optional<int>>("\x02").has_value());
}

TEST(Decoder, RandomBytesNeverDoHarm) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes(random() % 80, '\0');
    for (char& byte : bytes) {
      byte = static_cast<char>(random() % 3 == 0 ? random() : random() % 4);
    }
    if (const auto value = decode_value<Everything>(bytes)) {
      EXPECT_EQ(decode_value<Everything>(encode_value(*value)).has_value(), true);
    }
    (void)decode_value<std::vector<std::map<std::string, std::optional<double>>>>(bytes);
  }
}

TEST(Decoder, FlippedBytesNeverDoHarm) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 5'000; ++i) {
    std::string bytes = encode_value(random_value(random));
    bytes[random() % bytes.size()] = static_cast<char>(random());
    (void)decode_value<Everything>(bytes);
  }
}

// A count is trusted only as far as the bytes go, not as far as memory goes.
TEST(Decoder, AHostileCountDoesNotReserveMoreThanTheInputCouldHold) {
  struct Large {
    std::array<std::uint64_t, 4096> numbers;
  };
  std::string bytes;
  Encoder encoder(bytes);
  encoder.varint(1'000'000);
  bytes.resize(1'000'010);
  std::vector<Large> value;
  Decoder decoder(bytes);
  Codec<std::vector<Large>>::decode(decoder, value);
  EXPECT_FALSE(decoder.ok());
  EXPECT_LT(value.capacity(), 1000U);
}

}  // namespace
}  // namespace codec_test
}  // namespace weir
