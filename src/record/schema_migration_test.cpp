#include "record/schema_migration.h"

#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "weir/state_ttl.h"

namespace weir {

// Outside the unnamed namespace: clang warns of reflected types that have internal linkage.
namespace schema_test {
enum class Color : std::uint8_t { kRed, kGreen };
enum class SortedColor : std::uint16_t { kBlue, kGreen, kRed };
enum class WideColor : std::uint32_t { kRed, kGreen };
struct Item {
  std::string name;
  std::int32_t count = 0;
};
struct Order {
  std::int64_t id = 0;
  std::string customer;
  std::int32_t amount = 0;
  std::vector<Item> items;
  std::map<std::string, Item> by_name;
  Color color = Color::kRed;
  std::optional<Item> gift;
  double gone = 1.5;
};
struct NewItem {
  std::int64_t count = 0;
  std::string unit = "piece";
  std::string name;
};
struct NewOrder {
  std::string customer;
  std::int64_t id = 0;
  std::int64_t amount = 0;
  std::vector<NewItem> items;
  std::map<std::string, NewItem> by_name;
  WideColor color = WideColor::kRed;
  std::optional<NewItem> gift;
  std::string currency = "EUR";
  std::vector<std::string> tags;
};
struct Small {
  std::uint8_t a = 0;
  std::int16_t b = 0;
  std::uint32_t c = 0;
  float d = 0;
};
struct Large {
  std::int16_t a = 0;
  std::int64_t b = 0;
  std::uint64_t c = 0;
  double d = 0;
};
struct Temperature {
  double kelvin = 0;
};
struct WithOpaque {
  Temperature t;
  std::int32_t n = 0;
};
struct WithOpaqueMore {
  Temperature t;
  std::int32_t n = 0;
  std::int32_t m = 0;
};
struct PriceInEuros {
  double euros = 0;
};
struct Price {
  std::int64_t cents = 0;
};
struct PricedBefore {
  std::string name;
  PriceInEuros price;
};
struct Priced {
  Price price;
  std::string name;
};
struct Celsius {
  double degrees = 0;
};
struct Reading {
  std::int32_t n = 0;
  Temperature t;
  std::string where;
};
struct CelsiusReading {
  std::string where;
  std::int64_t n = 0;
  Celsius t;
};
struct ReadingElsewhere {
  std::int32_t n = 0;
  Temperature t;
};
struct ReadingWithoutT {
  std::int32_t n = 0;
  std::string where;
};
/// Takes as many bytes as it says first.
struct Blob {
  std::string bytes;
};
struct Tagged {
  Blob blob;
  std::int32_t n = 0;
};
}  // namespace schema_test

template <>
struct Migration<schema_test::Price> {
  using From = std::tuple<schema_test::PriceInEuros, std::int32_t>;
  static schema_test::Price migrate(const schema_test::PriceInEuros& old) {
    return {static_cast<std::int64_t>(old.euros * 100)};
  }
  static schema_test::Price migrate(std::int32_t cents) { return {cents}; }
};
template <>
struct Migration<schema_test::SortedColor> {
  using From = schema_test::Color;
  static schema_test::SortedColor migrate(schema_test::Color old) {
    using schema_test::Color;
    using schema_test::SortedColor;
    return old == Color::kRed ? SortedColor::kRed : SortedColor::kGreen;
  }
};
template <>
struct Migration<schema_test::Celsius> {
  using From = schema_test::Temperature;
  static schema_test::Celsius migrate(const schema_test::Temperature& old) {
    return {old.kelvin - 273.0};
  }
};

template <>
struct Codec<schema_test::Temperature> {
  static std::string schema() { return "temperature(kelvin, v2)"; }
  static void encode(const schema_test::Temperature& value, Encoder& out) { out.raw(value.kelvin); }
  static void decode(Decoder& in, schema_test::Temperature& value) {
    value.kelvin = in.raw<double>();
  }
};

template <>
struct Codec<schema_test::Blob> {
  static std::string schema() { return "blob"; }
  static void encode(const schema_test::Blob& value, Encoder& out) {
    out.varint(value.bytes.size());
    out.bytes(value.bytes.data(), value.bytes.size());
  }
  static void decode(Decoder& in, schema_test::Blob& value) { value.bytes = in.view(in.count()); }
};

namespace {

using namespace schema_test;

Schema schema_of(const std::string& text) {
  auto schema = Schema::parse(text);
  EXPECT_TRUE(schema.ok()) << (schema.ok() ? "" : schema.error().message);
  return schema.ok() ? schema.value() : Schema();
}

TEST(Schema, IsReadBackAsItWasWritten) {
  for (const std::string& text :
       {Codec<Order>::schema(), Codec<NewOrder>::schema(), Codec<Small>::schema(),
        Codec<WithOpaque>::schema(), Codec<std::set<std::string>>::schema(),
        Codec<std::array<std::optional<bool>, 7>>::schema(),
        Codec<std::pair<std::uint16_t, detail::Expiring<std::string>>>::schema(),
        std::string("timers"), std::string("struct{}"), std::string("own<a,b{c}>")}) {
    EXPECT_EQ(schema_of(text).to_string(), text);
  }
  EXPECT_EQ(schema_of("map<string,list<i8>>").parts[1].kind, Schema::Kind::kList);
}

TEST(Schema, WhatIsNoneIsRefusedWithTheByte) {
  for (const std::string text :
       {"", "list<", "list<i8", "list<i8>>", "struct{a:i8", "struct{:i8}", "struct{a}", "map<i8>",
        "array<i8>", "array<i8,>", "array<i8,99999999999>", "i8,", "optional<>", "}"}) {
    const auto schema = Schema::parse(text);
    EXPECT_FALSE(schema.ok()) << text;
  }
  std::string deep;
  for (int i = 0; i < 100'000; ++i) {
    deep += "list<";
  }
  EXPECT_FALSE(Schema::parse(deep).ok());
}

template <class From, class To>
Result<SchemaMigration> plan() {
  return SchemaMigration::plan(schema_of(Codec<From>::schema()), schema_of(Codec<To>::schema()),
                               type_ops<To>().evolution());
}

template <class From, class To>
std::optional<To> migrated(const From& value) {
  const auto migration = plan<From, To>();
  EXPECT_TRUE(migration.ok()) << (migration.ok() ? "" : migration.error().message);
  const std::string stored = encode_value(value);
  std::string bytes;
  Decoder in(stored);
  Encoder out(bytes);
  if (!migration.ok() || !migration.value().apply(in, out, 77) || !in.exhausted()) {
    ADD_FAILURE() << "not rewritten";
    return std::nullopt;
  }
  return decode_value<To>(bytes);
}

TEST(SchemaMigration, FieldsAreMatchedByNameAtEveryDepth) {
  Order order{42,
              "Ada",
              -5,
              {{"pen", 3}, {"ink", -1}},
              {{"pen", {"pen", 3}}},
              Color::kGreen,
              Item{"bow", 1},
              9.5};
  const auto result = migrated<Order, NewOrder>(order);
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->id, 42);
  EXPECT_EQ(result->customer, "Ada");
  EXPECT_EQ(result->amount, -5);
  ASSERT_EQ(result->items.size(), 2U);
  EXPECT_EQ(result->items[1].name, "ink");
  EXPECT_EQ(result->items[1].count, -1);
  EXPECT_EQ(result->items[1].unit, "piece") << "as a new object has it";
  EXPECT_EQ(result->by_name.at("pen").count, 3);
  EXPECT_EQ(result->color, WideColor::kGreen);
  EXPECT_EQ(result->gift->name, "bow");
  EXPECT_EQ(result->currency, "EUR");
  EXPECT_TRUE(result->tags.empty());
}

TEST(SchemaMigration, SaysWhatBecomesDifferent) {
  const auto migration = plan<Order, NewOrder>();
  ASSERT_TRUE(migration.ok());
  const std::vector<std::string>& changes = migration.value().changes();
  const auto has = [&](const std::string& line) {
    return std::find(changes.begin(), changes.end(), line) != changes.end();
  };
  EXPECT_TRUE(has("amount: i32 becomes i64"));
  EXPECT_TRUE(has("items[].count: i32 becomes i64"));
  EXPECT_TRUE(has("items[].unit: added"));
  EXPECT_TRUE(has("gone: dropped"));
  EXPECT_TRUE(has("the value: fields in another order"));
  EXPECT_TRUE(has("color: u8 becomes u32"));
  EXPECT_TRUE((plan<Order, Order>().value().is_identity()));
}

TEST(SchemaMigration, NumbersKeepTheirValuesWhenTheyBecomeLarger) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 1'000; ++i) {
    const Small small{static_cast<std::uint8_t>(random()), static_cast<std::int16_t>(random()),
                      static_cast<std::uint32_t>(random()), static_cast<float>(random()) / 3};
    const auto large = migrated<Small, Large>(small);
    ASSERT_TRUE(large.has_value());
    EXPECT_EQ(large->a, small.a);
    EXPECT_EQ(large->b, small.b);
    EXPECT_EQ(large->c, small.c);
    EXPECT_EQ(large->d, static_cast<double>(small.d));
  }
}

TEST(SchemaMigration, WhatWasThereMayBecomeOptionalAndGetATimeToLive) {
  EXPECT_EQ((migrated<std::int32_t, std::optional<std::int64_t>>(-7)), -7);
  const auto expiring = migrated<std::int32_t, detail::Expiring<std::int64_t>>(-7);
  EXPECT_EQ(expiring->value, -7);
  EXPECT_EQ(expiring->last_access_ms, 77);
  using Stored = std::vector<detail::Expiring<std::int32_t>>;
  EXPECT_EQ((migrated<Stored, std::vector<std::int64_t>>(Stored{{1, 5}, {2, 6}})),
            (std::vector<std::int64_t>{1, 2}));
  const auto kept = migrated<detail::Expiring<Item>, detail::Expiring<NewItem>>({{"pen", 3}, 12});
  EXPECT_EQ(kept->last_access_ms, 12);
  EXPECT_EQ(kept->value.unit, "piece");
}

template <class From, class To>
void expect_refused(const std::string& part) {
  const auto migration = plan<From, To>();
  ASSERT_FALSE(migration.ok()) << part;
  EXPECT_EQ(migration.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(migration.error().message.find(part), std::string::npos) << migration.error().message;
}

TEST(SchemaMigration, TheJobsOwnMigrationIsUsedWhereverTheTypeIs) {
  const PriceInEuros old{1.25};
  EXPECT_EQ((migrated<PriceInEuros, Price>(old))->cents, 125);
  EXPECT_EQ((migrated<std::int32_t, Price>(7))->cents, 7) << "the second of two earlier types";
  using Old = std::vector<PriceInEuros>;
  EXPECT_EQ((migrated<Old, std::vector<Price>>({old, old}))->at(1).cents, 125);
  const auto expiring = migrated<detail::Expiring<PriceInEuros>, detail::Expiring<Price>>({old, 5});
  EXPECT_EQ(expiring->value.cents, 125);
  EXPECT_EQ(expiring->last_access_ms, 5);
  const auto item = migrated<PricedBefore, Priced>({"x", old});
  EXPECT_EQ(item->price.cents, 125);
  EXPECT_EQ(item->name, "x");
  EXPECT_EQ((migrated<Temperature, Celsius>({300.0}))->degrees, 27.0) << "a Codec of its own";
  using OldList = std::vector<Temperature>;
  EXPECT_EQ((migrated<OldList, std::vector<Celsius>>({{300.0}}))->at(0).degrees, 27.0);
  EXPECT_EQ((migrated<std::vector<Color>, std::vector<SortedColor>>({Color::kRed, Color::kGreen})),
            (std::vector<SortedColor>{SortedColor::kRed, SortedColor::kGreen}))
      << "enumerators in another order";
  expect_refused<double, Price>("cannot become struct{cents:i64}");
}

TEST(SchemaMigration, TheJobsOwnMigrationFindsTheEndOfATypeWithACodecOfItsOwn) {
  const Reading old{7, {300.0}, "roof"};
  const auto in_struct = migrated<Reading, CelsiusReading>(old);
  ASSERT_TRUE(in_struct.has_value());
  EXPECT_EQ(in_struct->n, 7);
  EXPECT_EQ(in_struct->t.degrees, 27.0);
  EXPECT_EQ(in_struct->where, "roof");
  using Old = std::map<std::string, std::vector<Reading>>;
  using New = std::map<std::string, std::vector<CelsiusReading>>;
  const auto deeper = migrated<Old, New>({{"a", {old, {8, {301.0}, ""}}}});
  ASSERT_TRUE(deeper.has_value());
  EXPECT_EQ(deeper->at("a").at(1).t.degrees, 28.0);
  EXPECT_EQ(deeper->at("a").at(1).n, 8);
  using OldPair = std::pair<std::optional<Temperature>, bool>;
  using NewPair = std::pair<std::optional<Celsius>, bool>;
  EXPECT_EQ((migrated<OldPair, NewPair>({Temperature{300.0}, true}))->first->degrees, 27.0);
  EXPECT_FALSE((migrated<OldPair, NewPair>({std::nullopt, true}))->first.has_value());
  expect_refused<Reading, ReadingElsewhere>("temperature");
  expect_refused<Reading, ReadingWithoutT>("temperature");
}

TEST(SchemaMigration, AWholeValueWithACodecOfItsOwnMayBeWrapped) {
  const Blob blob{"abc"};
  const Tagged tagged{{"xy"}, 5};
  const auto expiring = migrated<Blob, detail::Expiring<Blob>>(blob);
  ASSERT_TRUE(expiring.has_value());
  EXPECT_EQ(expiring->value.bytes, "abc");
  EXPECT_EQ(expiring->last_access_ms, 77);
  EXPECT_EQ((migrated<Tagged, detail::Expiring<Tagged>>(tagged))->value.n, 5);
  EXPECT_EQ((migrated<detail::Expiring<Blob>, Blob>({blob, 12}))->bytes, "abc");
  EXPECT_EQ((migrated<detail::Expiring<Tagged>, Tagged>({tagged, 12}))->n, 5);
  EXPECT_EQ((migrated<Tagged, std::optional<Tagged>>(tagged))->value().blob.bytes, "xy");
  EXPECT_EQ((migrated<detail::Expiring<Blob>, std::optional<Blob>>({blob, 12}))->value().bytes,
            "abc");
  const auto both = migrated<Blob, detail::Expiring<std::optional<Blob>>>(blob);
  ASSERT_TRUE(both.has_value());
  EXPECT_EQ(both->value->bytes, "abc");
}

TEST(SchemaMigration, APartWithACodecOfItsOwnMayNotBeWrapped) {
  expect_refused<std::vector<Blob>, std::vector<detail::Expiring<Blob>>>("blob");
  expect_refused<std::vector<detail::Expiring<Tagged>>, std::vector<Tagged>>("blob");
  expect_refused<std::map<std::string, Blob>, std::map<std::string, std::optional<Blob>>>("blob");
  expect_refused<std::pair<std::int32_t, Blob>, std::pair<std::int64_t, Blob>>("blob");
  expect_refused<std::pair<std::int32_t, Blob>, std::pair<std::int32_t, std::optional<Blob>>>(
      "blob");
}

TEST(SchemaMigration, AWrappedValueThatIsTooShortIsNoticed) {
  const auto migration = plan<detail::Expiring<Blob>, Blob>();
  ASSERT_TRUE(migration.ok());
  for (std::size_t size = 0; size < sizeof(TimestampMs); ++size) {
    const std::string stored(size, 'x');
    Decoder in(stored);
    std::string bytes;
    Encoder out(bytes);
    EXPECT_FALSE(migration.value().apply(in, out, 0)) << size;
  }
}

TEST(SchemaMigration, WhatStaysTheSameIsCopiedAsItIs) {
  EXPECT_EQ((migrated<Blob, Blob>({"abc"}))->bytes, "abc");
  EXPECT_EQ((migrated<Tagged, Tagged>({{"abc"}, 4}))->n, 4);
}

TEST(SchemaMigration, TheJobsOwnMigrationNoticesMalformedBytes) {
  const auto migration = plan<PricedBefore, Priced>();
  ASSERT_TRUE(migration.ok());
  const std::string good = encode_value(PricedBefore{"x", {1.25}});
  for (std::size_t size = 0; size < good.size(); ++size) {
    Decoder in(std::string_view(good).substr(0, size));
    std::string bytes;
    Encoder out(bytes);
    EXPECT_FALSE(migration.value().apply(in, out, 0)) << size;
  }
}

TEST(SchemaMigration, AnythingElseIsRefusedWithThePart) {
  expect_refused<std::int64_t, std::int32_t>("i64 cannot become i32");
  expect_refused<std::int32_t, std::uint64_t>("i32 cannot become u64");
  expect_refused<std::uint64_t, std::int64_t>("u64 cannot become i64");
  expect_refused<double, float>("f64 cannot become f32");
  expect_refused<std::int32_t, double>("i32 cannot become f64");
  expect_refused<std::string, std::int32_t>("string cannot become i32");
  expect_refused<std::optional<bool>, bool>("optional<bool> cannot become bool");
  expect_refused<std::vector<bool>, std::set<bool>>("cannot become set");
  expect_refused<std::array<int, 2>, std::array<int, 3>>("array<i32,2> cannot become");
  expect_refused<std::map<std::int32_t, bool>, std::map<std::int64_t, bool>>("the keys' type");
  expect_refused<std::set<std::int32_t>, std::set<std::int64_t>>("the keys' type");
  expect_refused<NewOrder, Order>("i64 cannot become i32");
  expect_refused<WithOpaque, WithOpaqueMore>("has a Codec of its own, temperature");
  expect_refused<Temperature, double>("temperature(kelvin, v2) cannot become f64");
}

TEST(SchemaMigration, MalformedBytesAreNoticed) {
  const auto migration = plan<Order, NewOrder>();
  ASSERT_TRUE(migration.ok());
  const std::string good = encode_value(Order{1, "x", 2, {{"a", 1}}, {{"b", {"b", 2}}}});
  for (std::size_t size = 0; size < good.size(); ++size) {
    Decoder in(std::string_view(good).substr(0, size));
    std::string bytes;
    Encoder out(bytes);
    EXPECT_FALSE(migration.value().apply(in, out, 0)) << size;
  }
  std::mt19937_64 random(5);
  for (int i = 0; i < 20'000; ++i) {
    std::string damaged = good;
    damaged[random() % damaged.size()] = static_cast<char>(random());
    Decoder in(damaged);
    std::string bytes;
    Encoder out(bytes);
    static_cast<void>(migration.value().apply(in, out, 0));  // whatever it says, it ends
  }
}

}  // namespace
}  // namespace weir
