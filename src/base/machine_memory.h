#pragma once

#include <cstdint>

namespace weir {

/// Bytes that this process can have before the system kills it: the machine's memory or the limit
/// of its control group (a container), whichever is less.
std::int64_t available_memory_bytes();

/// Bytes of the process' own that lie in memory: without mapped files, with swapped pages left out.
/// 0 where the system does not tell.
std::int64_t resident_memory_bytes();

}  // namespace weir
