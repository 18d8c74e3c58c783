#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weir {

/// CRC-32C (Castagnoli) of `data`, continuing from `crc` (0 to start). crc32c("123456789") is
/// 0xe3069283. Uses the SSE4.2 instruction where the processor has it.
std::uint32_t crc32c(std::string_view data, std::uint32_t crc = 0);

}  // namespace weir
