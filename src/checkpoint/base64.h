#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace weir::checkpoint {

/// RFC 4648, section 4, with padding.
std::string base64_encode(std::string_view bytes);
/// Nothing unless `text` is exactly what base64_encode makes of some bytes.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace weir::checkpoint
