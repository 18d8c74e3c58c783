#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "weir/codec.h"
#include "weir/result.h"

namespace weir {

/// A schema string of docs/formats/codec.md, taken apart.
struct Schema {
  enum class Kind : std::uint8_t {
    kBool,
    kSigned,
    kUnsigned,
    kFloat,
    kString,
    kEnum,      ///< parts: the underlying type
    kArray,     ///< parts: the element; `size` of them
    kOptional,  ///< parts: what may be there
    kList,      ///< parts: the element
    kSet,       ///< parts: the element
    kMap,       ///< parts: key, value
    kStruct,    ///< parts: the fields, with their names
    kExpiring,  ///< parts: what has a time to live
    kProtobuf,  ///< a message: a length and its wire form; `text` is its schema
    kOpaque,    ///< a type with a Codec of its own; `text` is its schema
  };

  Kind kind = Kind::kOpaque;
  std::size_t size = 0;  ///< bytes of a number; elements of an array
  std::string text;      ///< of an opaque type or a message
  std::vector<Schema> parts;
  std::vector<std::string> names;  ///< of a struct's fields

  /// kCorruption when the text is no schema. What is none of the known kinds is opaque.
  static Result<Schema> parse(std::string_view text);
  std::string to_string() const;
  /// The field's position in a struct, or -1.
  int field(std::string_view name) const;

  friend bool operator==(const Schema&, const Schema&) = default;
};

/// Takes one encoded value off `in`. False if it is malformed, or if its length cannot be known:
/// that of an opaque type.
bool skip_value(const Schema& schema, Decoder& in);
/// Whether skip_value() can tell the length of every value.
bool can_be_skipped(const Schema& schema);

}  // namespace weir
