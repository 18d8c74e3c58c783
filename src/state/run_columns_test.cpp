#include "state/run_columns.h"

#include <cstdint>
#include <cstring>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "state/block_compression.h"
#include "state/state_file.h"

namespace weir::state {
namespace {

template <class T>
std::string bytes_of(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

/// The payload of an entry block; runs are appended to it.
std::string begin_payload() { return bytes_of(EntryBlockHeader{}); }
void append_run(std::string& payload, std::uint32_t count, const std::string& entries) {
  payload += bytes_of(RunHeader{.state = 1,
                                .key_group = 2,
                                .ns = 3,
                                .count = count,
                                .bytes = static_cast<std::uint32_t>(entries.size())});
  payload += entries;
}

std::string columns_of(const std::string& payload, bool& has_turned) {
  std::string columns(payload.size(), '?');
  has_turned = rows_to_columns(payload, columns.data());
  return columns;
}

TEST(RunColumns, SortsTheBytesOfEqualEntriesByPlace) {
  std::string payload = begin_payload();
  append_run(payload, 3, "abcABC123");
  append_run(payload, 1, "alone");
  append_run(payload, 2, "ab c!");  // not of one size
  std::string expected = begin_payload();
  append_run(expected, 3, "aA1bB2cC3");
  append_run(expected, 1, "alone");
  append_run(expected, 2, "ab c!");
  bool has_turned = false;
  EXPECT_EQ(columns_of(payload, has_turned), expected);
  EXPECT_TRUE(has_turned);
  std::string back(payload.size(), '?');
  EXPECT_TRUE(columns_to_rows(expected, back.data()));
  EXPECT_EQ(back, payload);
}

TEST(RunColumns, GiveBackAnyRuns) {
  std::mt19937 random(7);
  for (int round = 0; round < 500; ++round) {
    std::string payload = begin_payload();
    for (std::size_t runs = random() % 5; runs > 0; --runs) {
      const auto count = static_cast<std::uint32_t>(random() % 400 + 1);
      std::string entries(count * (random() % 40) + (random() % 2) * (random() % 50), '\0');
      for (char& byte : entries) {
        byte = static_cast<char>(random());
      }
      append_run(payload, count, entries);
    }
    bool has_turned = false;
    const std::string columns = columns_of(payload, has_turned);
    std::string back(payload.size(), '?');
    ASSERT_TRUE(columns_to_rows(columns, back.data()));
    ASSERT_EQ(back, payload) << round;
  }
}

TEST(RunColumns, WhatIsNoEntryBlockIsRefused) {
  std::string payload = begin_payload();
  append_run(payload, 4, "aabbccdd");
  for (std::size_t size = 0; size < payload.size(); ++size) {
    std::string to(size, '\0');
    EXPECT_EQ(columns_to_rows(payload.substr(0, size), to.data()), size == sizeof(EntryBlockHeader))
        << size;
  }
  payload[0] = 2;
  std::string to(payload.size(), '\0');
  EXPECT_FALSE(columns_to_rows(payload, to.data()));
}

// What they are for: a hash, a key of 8 bytes, of which few differ, a sum and a count.
TEST(RunColumns, RowsOfNumbersAreCompressedToFewerThanHalfOfTheirBytes) {
  std::mt19937 random(1);
  std::string entries;
  constexpr std::uint32_t kCount = 20'000;
  for (std::uint32_t i = 0; i < kCount; ++i) {
    entries += bytes_of(static_cast<std::uint32_t>(i * 200'000 + random() % 200'000));
    entries += bytes_of(std::uint64_t{random() % 4'000'000});
    entries += bytes_of(std::uint64_t{random() % 100'000});
    entries += bytes_of(std::uint64_t{random() % 100});
  }
  std::string payload = begin_payload();
  append_run(payload, kCount, entries);
  BlockCompressor compressor;
  const std::string compressed(compressor.compress(payload));
  ASSERT_FALSE(compressed.empty());
  EXPECT_LT(compressed.size(), payload.size() / 2);
  EXPECT_EQ(decompress_block(compressed), payload);
}

}  // namespace
}  // namespace weir::state
