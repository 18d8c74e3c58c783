#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

struct ZSTD_CCtx_s;

namespace weir::state {

/// First byte of a compressed block's payload: docs/formats/state-file.md.
inline constexpr std::uint8_t kCompressedBlock = 3;

/// Compresses payloads of entry blocks with Zstandard at its quickest level, after their runs were
/// turned into columns (run_columns.h). One thread at a time.
class BlockCompressor {
 public:
  BlockCompressor();
  ~BlockCompressor();
  BlockCompressor(const BlockCompressor&) = delete;
  BlockCompressor& operator=(const BlockCompressor&) = delete;

  /// The payload to store instead, valid until the next call; empty when it would hardly be
  /// smaller.
  std::string_view compress(std::string_view payload);

 private:
  ZSTD_CCtx_s* const context_;
  std::string columns_;
  std::string compressed_;
};

bool is_compressed(std::string_view payload);
/// The payload as it was. Nothing if it is malformed. Takes at most what a block may have.
std::optional<std::string> decompress_block(std::string_view payload);

}  // namespace weir::state
