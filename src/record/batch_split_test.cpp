#include "record/batch_split.h"

#include <string>

#include <gtest/gtest.h>

namespace weir {
namespace {

TEST(BatchSplit, DealsOutEveryRecordInOrderWithItsColumns) {
  for (const std::size_t rows_max : {1U, 3U, 10U, 11U, 1000U}) {
    BatchPtr batch = Batch::make<std::string>();
    for (int i = 0; i < 10; ++i) {
      batch->key_hashes()[i] = static_cast<std::uint32_t>(i);
      batch->push_back(std::string(40, static_cast<char>('a' + i)), i);
    }
    batch->set_keyed(true);
    int next = 0;
    for (const BatchPtr& piece : split_batch(std::move(batch), rows_max)) {
      EXPECT_LE(piece->size(), rows_max);
      EXPECT_TRUE(piece->is_keyed());
      for (std::size_t row = 0; row < piece->size(); ++row, ++next) {
        EXPECT_EQ(piece->records<std::string>()[row],
                  std::string(40, static_cast<char>('a' + next)));
        EXPECT_EQ(piece->timestamps()[row], next);
        EXPECT_EQ(piece->key_hashes()[row], static_cast<std::uint32_t>(next));
      }
    }
    EXPECT_EQ(next, 10) << rows_max;
  }
}

}  // namespace
}  // namespace weir
