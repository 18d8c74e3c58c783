#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "weir/codec.h"

namespace weir::generator {

/// The state of a generator's split: which indices it still has to make. Stored encoded as its
/// members in order.
struct SplitState {
  std::uint64_t next = 0;
  std::uint64_t end = 0;     ///< indices stay below this
  std::uint64_t stride = 1;  ///< from one index to the next
  std::uint64_t splits = 1;  ///< of the source, for its share of the rate
};

/// Nothing when `state` is not of a generator.
inline std::optional<SplitState> decode_split_state(std::string_view state) {
  const auto decoded = decode_value<SplitState>(state);
  const bool is_good = decoded.has_value() && decoded->stride > 0 && decoded->splits > 0;
  return is_good ? decoded : std::nullopt;
}

}  // namespace weir::generator
