#include "weir/key_hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace weir {

std::uint32_t hash_key_bytes(const void* data, std::size_t size) {
  return static_cast<std::uint32_t>(XXH3_64bits(data, size) >> 32);
}

}  // namespace weir
