#include "base/crc32c.h"

#include <gtest/gtest.h>

namespace weir {
namespace {

TEST(Crc32c, MatchesThePublishedCheckValue) { EXPECT_EQ(crc32c("123456789"), 0xe3069283U); }

TEST(Crc32c, ContinuesFromAnEarlierPart) {
  EXPECT_EQ(crc32c("6789", crc32c("12345")), crc32c("123456789"));
}

}  // namespace
}  // namespace weir
