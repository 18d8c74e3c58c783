#include "base/crc32c.h"

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace weir {
namespace {

TEST(Crc32c, MatchesThePublishedCheckValue) { EXPECT_EQ(crc32c("123456789"), 0xe3069283U); }

TEST(Crc32c, ContinuesFromAnEarlierPart) {
  EXPECT_EQ(crc32c("6789", crc32c("12345")), crc32c("123456789"));
}

/// Bit by bit, as the polynomial is defined.
std::uint32_t by_definition(const std::string& data) {
  std::uint32_t state = 0xffffffffU;
  for (const char c : data) {
    state ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) {
      state = (state & 1U) != 0 ? (state >> 1) ^ 0x82f63b78U : state >> 1;
    }
  }
  return ~state;
}

TEST(Crc32c, IsTheSameForEveryLengthAndPlace) {
  std::mt19937 random(1);
  std::string data;
  for (int i = 0; i < 100'000; ++i) {
    data.push_back(static_cast<char>(random()));
  }
  for (const std::size_t size : std::initializer_list<std::size_t>{
           0, 1, 7, 8, 9, 4096, 12'287, 12'288, 12'289, 12'300, 24'575, 24'576, 50'001, 99'991}) {
    const std::string part = data.substr(9, size);
    EXPECT_EQ(crc32c(part), by_definition(part)) << size;
    EXPECT_EQ(crc32c(std::string_view(data).substr(9, size)), by_definition(part)) << size;
    const std::size_t half = size / 3;
    EXPECT_EQ(crc32c(part.substr(half), crc32c(part.substr(0, half))), by_definition(part));
  }
}

TEST(Crc32c, OfTwoPartsFromTheirSums) {
  std::string bytes(70'000, ' ');
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<char>(i * 31 + i / 7);
  }
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{9}, bytes.size()}) {
    for (const std::size_t at : {std::size_t{0}, size / 3, size}) {
      const std::string_view all = std::string_view(bytes).substr(0, size);
      EXPECT_EQ(crc32c_of_both(crc32c(all.substr(0, at)), crc32c(all.substr(at)), size - at),
                crc32c(all))
          << size << " at " << at;
    }
  }
}

}  // namespace
}  // namespace weir
