#include "state/block_compression.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include <zstd.h>

#include "io/block_file.h"
#include "state/run_columns.h"
#include "weir/check.h"

namespace weir::state {
namespace {

constexpr int kLevel = 1;
constexpr std::uint8_t kZstandard = 1;
constexpr std::uint8_t kColumnsZstandard = 2;  ///< from version 5 on

struct Header {
  std::uint8_t kind = kCompressedBlock;
  std::uint8_t codec = kZstandard;
  std::uint8_t padding[2] = {};
  std::uint32_t size = 0;  ///< of what was compressed
};
static_assert(sizeof(Header) == 8);

}  // namespace

BlockCompressor::BlockCompressor() : context_(ZSTD_createCCtx()) {
  WEIR_CHECK(context_ != nullptr);
}
BlockCompressor::~BlockCompressor() { ZSTD_freeCCtx(context_); }

std::string_view BlockCompressor::compress(std::string_view payload) {
  columns_.resize(payload.size());
  const bool has_columns = rows_to_columns(payload, columns_.data());
  const std::string_view source = has_columns ? std::string_view(columns_) : payload;
  compressed_.resize(sizeof(Header) + ZSTD_compressBound(source.size()));
  const std::size_t size =
      ZSTD_compressCCtx(context_, compressed_.data() + sizeof(Header),
                        compressed_.size() - sizeof(Header), source.data(), source.size(), kLevel);
  if (ZSTD_isError(size) != 0 || sizeof(Header) + size > payload.size() - payload.size() / 16) {
    return {};
  }
  Header header;
  header.codec = has_columns ? kColumnsZstandard : kZstandard;
  header.size = static_cast<std::uint32_t>(payload.size());
  std::memcpy(compressed_.data(), &header, sizeof header);
  return std::string_view(compressed_).substr(0, sizeof(Header) + size);
}

bool is_compressed(std::string_view payload) {
  return !payload.empty() && static_cast<std::uint8_t>(payload.front()) == kCompressedBlock;
}

std::optional<std::string> decompress_block(std::string_view payload) {
  Header header;
  if (payload.size() < sizeof header) {
    return std::nullopt;
  }
  std::memcpy(&header, payload.data(), sizeof header);
  const std::string_view frame = payload.substr(sizeof header);
  // The frame says its size too; a wrong one of either is malformed.
  const bool is_sound = (header.codec == kZstandard || header.codec == kColumnsZstandard) &&
                        header.padding[0] == 0 && header.padding[1] == 0 &&
                        header.size <= kBlockSizeBytesMax &&
                        ZSTD_getFrameContentSize(frame.data(), frame.size()) == header.size &&
                        ZSTD_findFrameCompressedSize(frame.data(), frame.size()) == frame.size();
  if (!is_sound) {
    return std::nullopt;
  }
  std::string whole;
  whole.resize(header.size);
  const std::size_t size = ZSTD_decompress(whole.data(), whole.size(), frame.data(), frame.size());
  if (size != header.size) {
    return std::nullopt;
  }
  if (header.codec == kColumnsZstandard) {
    std::string rows;
    rows.resize(whole.size());
    if (!columns_to_rows(whole, rows.data())) {
      return std::nullopt;
    }
    return rows;
  }
  return whole;
}

}  // namespace weir::state
