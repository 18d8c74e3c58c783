#pragma once

#include "weir/batch.h"
#include "weir/codec.h"

namespace weir {

/// The stored form of a batch, for records that were under way between tasks:
///
///   batch := size:varint is_keyed:u8 timestamps[8 x size] [key_hashes[4 x size]] record[size]
///
/// Records are encoded as state is (docs/formats/codec.md). REQUIRES: type().encode != nullptr.
void encode_batch(const Batch& batch, Encoder& out);

/// Null when the bytes are malformed: then in.ok() is false as well.
BatchPtr decode_batch(Decoder& in, const TypeOps& type);

}  // namespace weir
