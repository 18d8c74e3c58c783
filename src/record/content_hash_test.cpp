#include "weir/content_hash.h"

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "weir/type_ops.h"

namespace weir {
namespace content_hash_test {

enum class Colour : std::uint8_t { kRed = 1, kBlue = 2 };

struct Point {
  std::int32_t x = 0;
  std::int32_t y = 0;
};
struct Padded {
  std::int8_t small = 0;
  std::int64_t large = 0;
};
struct Large {
  std::array<std::int64_t, 20> numbers{};
};
struct Event {
  std::string user;
  bool is_paid = false;
  double amount = 0;
  Colour colour = Colour::kRed;
  std::vector<std::int16_t> path;
  std::vector<std::string> notes;
  std::optional<Point> at;
  std::map<std::string, int> counts;
};
struct Opaque {
  explicit Opaque(int of = 0) : number(of) {}
  int number;
};

}  // namespace content_hash_test

template <>
struct Codec<content_hash_test::Opaque> {
  using Opaque = content_hash_test::Opaque;
  static std::string schema() { return "opaque"; }
  static void encode(const Opaque& value, Encoder& out) { out.raw(value.number); }
  static void decode(Decoder& in, Opaque& value) { value.number = in.raw<int>(); }
};

namespace content_hash_test {
namespace {

template <class T>
std::uint32_t hash(const T& value) {
  std::string scratch = "left over";
  return content_hash(value, scratch);
}

TEST(ContentHash, EveryMemberCounts) {
  const Event event{"ann", true, 1.5, Colour::kRed, {1, 2}, {"a", "b"}, Point{3, 4}, {{"k", 1}}};
  std::vector<Event> others(9, event);
  others[0].user = "anna";
  others[1].is_paid = false;
  others[2].amount = -1.5;
  others[3].colour = Colour::kBlue;
  others[4].path = {2, 1};
  others[5].notes = {"ab"};
  others[6].at->y = 5;
  others[7].at.reset();
  others[8].counts["k"] = 2;
  std::set<std::uint32_t> hashes{hash(event)};
  for (const Event& other : others) {
    EXPECT_TRUE(hashes.insert(hash(other)).second);
  }
  EXPECT_EQ(hash(event), hash(Event(event)));
}

TEST(ContentHash, MembersExchangedGiveAnotherHash) {
  EXPECT_NE(hash(Point{1, 2}), hash(Point{2, 1}));
  EXPECT_NE(hash(Padded{1, 2}), hash(Padded{2, 1}));
  Large large;
  large.numbers[0] = 1;
  Large other;
  other.numbers[19] = 1;
  EXPECT_NE(hash(large), hash(other));
  EXPECT_NE(hash(Opaque(1)), hash(Opaque(2)));
}

TEST(ContentHash, NeighbouringNumbersDoNotCollide) {
  std::set<std::uint32_t> hashes;
  for (std::int32_t x = 0; x < 100; ++x) {
    for (std::int32_t y = 0; y < 100; ++y) {
      hashes.insert(hash(Point{x, y}));
    }
  }
  EXPECT_GE(hashes.size(), 9'998U);  // 10,000 values at random: 0.01 collisions
}

TEST(ContentHash, PaddingDoesNotCount) {
  alignas(Padded) std::array<std::byte, sizeof(Padded)> memory[2];
  memory[0].fill(std::byte{0x00});
  memory[1].fill(std::byte{0xFF});
  const auto* const one = ::new (memory[0].data()) Padded{1, 2};
  const auto* const other = ::new (memory[1].data()) Padded{1, 2};
  EXPECT_EQ(hash(*one), hash(*other));
}

TEST(ContentHash, TypeOpsHashesARunOfValues) {
  const std::vector<std::string> texts{"", "a", "b", "a"};
  std::array<std::uint32_t, 4> hashes{};
  type_ops<std::string>().content_hashes(texts.data(), texts.size(), hashes.data());
  EXPECT_EQ(hashes[1], hashes[3]);
  EXPECT_NE(hashes[1], hashes[2]);
  EXPECT_EQ(hashes[0], hash(std::string()));
  struct Unencodable {
    int* pointer = nullptr;
  };
  EXPECT_EQ(type_ops<Unencodable>().content_hashes, nullptr);
}

}  // namespace
}  // namespace content_hash_test
}  // namespace weir
