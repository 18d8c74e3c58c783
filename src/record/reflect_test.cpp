#include "weir/reflect.h"

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace weir::reflect {

struct Trade {
  std::string symbol;
  double price;
  std::int64_t time_ms;
};
struct One {
  int only;
};
struct WithDefaults {
  int a = 1;
  std::string b = "b";
};
struct Inner {
  int x;
  int y;
};
struct Nested {
  Inner inner;
  std::array<int, 3> triple;
  bool flag;
};
enum class Colour : std::uint8_t { kRed, kGreen };
struct EveryKind {
  std::optional<int> maybe;
  std::vector<std::string> list;
  std::map<int, Inner> by_number;
  std::unordered_map<std::string, int> by_name;
  std::pair<int, std::string> pair;
  Colour colour;
  std::optional<std::string> last;
};
struct TwentyFour {
  int m00, m01, m02, m03, m04, m05, m06, m07, m08, m09, m10, m11;
  int m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22, m23;
};
struct TwentyFive {
  TwentyFour first;
  int m01, m02, m03, m04, m05, m06, m07, m08, m09, m10, m11, m12;
  int m13, m14, m15, m16, m17, m18, m19, m20, m21, m22, m23, m24;
};
struct WithName {
  int number;
  char name[16];
};
struct ArrayFirst {
  int numbers[1];
  std::string text;
};
class WithConstructor {
 public:
  explicit WithConstructor(int number) : number_(number) {}
  int number() const { return number_; }

 private:
  int number_;
};
struct Empty {};
struct Derived : Inner {
  int z;
};

namespace {

struct Hidden {
  int in_an_unnamed_namespace;
  std::string second;
};

template <class T>
std::vector<std::string> names() {
  std::vector<std::string> result;
  T object{};
  for_each_field(object, [&](std::string_view name, auto&) { result.emplace_back(name); });
  return result;
}
using Names = std::vector<std::string>;

TEST(Reflect, CountsTheMembersOfAnAggregate) {
  EXPECT_EQ(kFieldCount<One>, 1U);
  EXPECT_EQ(kFieldCount<Trade>, 3U);
  EXPECT_EQ(kFieldCount<WithDefaults>, 2U);
  EXPECT_EQ(kFieldCount<Nested>, 3U);  // an array and a nested struct are one member each
  EXPECT_EQ(kFieldCount<EveryKind>, 7U);
  EXPECT_EQ(kFieldCount<TwentyFour>, 24U);
}

TEST(Reflect, NamesTheMembersInTheirOrder) {
  EXPECT_EQ(names<Trade>(), (Names{"symbol", "price", "time_ms"}));
  EXPECT_EQ(names<One>(), (Names{"only"}));
  EXPECT_EQ(names<Nested>(), (Names{"inner", "triple", "flag"}));
  EXPECT_EQ(names<EveryKind>(),
            (Names{"maybe", "list", "by_number", "by_name", "pair", "colour", "last"}));
  EXPECT_EQ(names<Hidden>(), (Names{"in_an_unnamed_namespace", "second"}));
  EXPECT_EQ(names<TwentyFour>().front(), "m00");
  EXPECT_EQ(names<TwentyFour>().back(), "m23");
}

TEST(Reflect, TypesDefinedInAFunctionHaveNamesToo) {
  struct Local {
    int first;
    double second;
  };
  EXPECT_EQ(names<Local>(), (Names{"first", "second"}));
}

TEST(Reflect, FieldsAreReferencesToTheMembers) {
  Trade trade{"ACME", 1.5, 7};
  std::get<1>(fields(trade)) = 2.5;
  EXPECT_EQ(trade.price, 2.5);
  const Trade& constant = trade;
  EXPECT_EQ(&std::get<0>(fields(constant)), &trade.symbol);
}

TEST(Reflect, OnlyPlainStructsAreAggregates) {
  static_assert(Aggregate<Trade>);
  static_assert(Aggregate<Hidden>);
  static_assert(!Aggregate<WithConstructor>);
  static_assert(!Aggregate<Empty>);
  static_assert(!Aggregate<TwentyFive>);
  static_assert(!Aggregate<WithName>);
  static_assert(!Aggregate<ArrayFirst>);
  static_assert(!Aggregate<Derived>);
  static_assert(!Aggregate<int>);
  static_assert(!Aggregate<std::string>);
  static_assert(!Aggregate<std::array<int, 3>>);
  static_assert(std::is_same_v<FieldType<Trade, 2>, std::int64_t>);
}

}  // namespace
}  // namespace weir::reflect
