#include "state_processor/encoded_key.h"

#include <string>

#include "weir/codec.h"
#include "weir/key_hash.h"

namespace weir::state_processor {
namespace {

using Kind = Schema::Kind;

/// Sign- or zero-extended to 64 bits.
std::uint64_t integer(const Schema& schema, Decoder& in) {
  const std::string_view bytes = in.view(schema.size);
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    value |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  }
  const std::size_t bits = 8 * schema.size;
  if (schema.kind == Kind::kSigned && bits < 64 && ((value >> (bits - 1)) & 1) != 0) {
    value |= ~std::uint64_t{0} << bits;
  }
  return value;
}

Result<std::uint32_t> hash_part(const Schema& schema, Decoder& in) {
  switch (schema.kind) {
    case Kind::kBool:
    case Kind::kSigned:
    case Kind::kUnsigned:
      return detail::mix_key_bits(integer(schema, in));
    case Kind::kEnum:
      return hash_part(schema.parts[0], in);
    case Kind::kString: {
      const std::string_view text = in.view(in.count());
      return hash_key_bytes(text.data(), text.size());
    }
    case Kind::kStruct: {
      std::uint32_t hash = 0;
      for (const Schema& part : schema.parts) {
        WEIR_ASSIGN(const std::uint32_t of_part, hash_part(part, in));
        hash = detail::mix_key_bits(31ULL * hash + of_part);
      }
      return hash;
    }
    default:
      return Error{ErrorCode::kInvalidArgument, "'" + schema.to_string() + "' is no type of a key"};
  }
}

}  // namespace

Result<std::uint32_t> hash_encoded_key(const Schema& schema, std::string_view encoded) {
  Decoder in(encoded);
  WEIR_ASSIGN(const std::uint32_t hash, hash_part(schema, in));
  if (!in.exhausted()) {
    return Error{ErrorCode::kCorruption, "the key does not fit its schema"};
  }
  return hash;
}

}  // namespace weir::state_processor
