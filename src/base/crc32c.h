#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weir {

/// CRC-32C (Castagnoli) of `data`, continuing from `crc` (0 to start). crc32c("123456789") is
/// 0xe3069283. Uses the SSE4.2 instruction where the processor has it.
std::uint32_t crc32c(std::string_view data, std::uint32_t crc = 0);

/// The CRC of `a` followed by `b`, from their CRCs and b's size.
std::uint32_t crc32c_of_both(std::uint32_t crc_a, std::uint32_t crc_b, std::uint64_t b_bytes);

}  // namespace weir
