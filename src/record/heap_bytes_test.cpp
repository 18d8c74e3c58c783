#include "weir/heap_bytes.h"

#include <array>
#include <cstdint>

#include <gtest/gtest.h>

#include "weir/batch.h"

namespace weir {
namespace {

struct Plain {
  std::int64_t a = 0;
  double b = 0;
};
struct Order {
  std::string customer;
  std::vector<std::string> items;
  std::optional<std::string> note;
  std::map<std::string, std::int64_t> prices;
};

std::string text(std::size_t size) { return std::string(size, 'x'); }

TEST(HeapBytes, OfWhatLiesInPlaceAreNone) {
  EXPECT_EQ(heap_bytes(Plain{}), 0U);
  EXPECT_EQ(heap_bytes(std::string("short")), 0U);
  EXPECT_EQ(heap_bytes(Order{}), 0U);
  EXPECT_EQ(type_ops<Plain>().heap_bytes, nullptr);
}

TEST(HeapBytes, AreThoseOfAllParts) {
  Order order;
  order.customer = text(1'000);
  order.items = {text(2'000), text(3'000)};
  order.note = text(4'000);
  order.prices = {{text(5'000), 1}, {"b", 2}};
  const std::size_t bytes = heap_bytes(order);
  EXPECT_GE(bytes, 15'000U);
  EXPECT_LE(bytes, 15'500U);
  EXPECT_GE(heap_bytes(std::array{text(1'000), text(1'000)}), 2'000U);
  EXPECT_GE(heap_bytes(std::pair(1, text(1'000))), 1'000U);
}

TEST(HeapBytes, OfABatchAreItsColumnsAndWhatTheRecordsOwn) {
  const BatchPtr plain = Batch::make<Plain>();
  EXPECT_GE(plain->memory_bytes(), plain->capacity() * (sizeof(Plain) + 12));
  const BatchPtr orders = Batch::make<Order>();
  const std::size_t empty = orders->memory_bytes();
  for (int i = 0; i < 3; ++i) {
    orders->push_back(Order{text(10'000), {}, {}, {}}, i);
  }
  EXPECT_GE(orders->memory_bytes(), empty + 30'000);
}

}  // namespace
}  // namespace weir
