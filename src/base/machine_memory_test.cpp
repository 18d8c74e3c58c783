#include "base/machine_memory.h"

#include <cstring>

#include <gtest/gtest.h>
#include <sys/mman.h>
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
  // Not from the heap: compilers may leave out an allocation that nobody reads.
  void* const block =
      ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(block, MAP_FAILED);
  std::memset(block, 1, kBytes);
  const std::int64_t grown = resident_memory_bytes() - before;
  ::munmap(block, kBytes);
  EXPECT_GE(grown, static_cast<std::int64_t>(kBytes) * 9 / 10);
}

}  // namespace
}  // namespace weir
