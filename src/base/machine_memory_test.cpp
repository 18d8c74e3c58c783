#include "base/machine_memory.h"

#include <cstring>
#include <memory>

#include <gtest/gtest.h>
#include <unistd.h>

namespace weir {
namespace {

TEST(MachineMemory, IsNoMoreThanTheMachineHas) {
  const std::int64_t available = available_memory_bytes();
  EXPECT_GT(available, 1 << 20);
  EXPECT_LE(available, std::int64_t{::sysconf(_SC_PHYS_PAGES)} * ::sysconf(_SC_PAGESIZE));
}

TEST(MachineMemory, WhatTheProcessTakesGrowsWithWhatItTouches) {
  constexpr std::size_t kBytes = 64 << 20;
  const std::int64_t before = resident_memory_bytes();
  EXPECT_GT(before, 0);
  const auto block = std::make_unique<char[]>(kBytes);
  std::memset(block.get(), 1, kBytes);
  EXPECT_GE(resident_memory_bytes() - before, static_cast<std::int64_t>(kBytes) * 9 / 10);
}

}  // namespace
}  // namespace weir
