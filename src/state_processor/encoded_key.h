#pragma once

#include <cstdint>
#include <string_view>

#include "record/schema.h"
#include "weir/result.h"

namespace weir::state_processor {

/// key_hash() of an encoded key, by its schema (docs/formats/key-hash.md). kInvalidArgument when
/// the schema is none of a key, kCorruption when the bytes do not fit it.
Result<std::uint32_t> hash_encoded_key(const Schema& schema, std::string_view encoded);

}  // namespace weir::state_processor
