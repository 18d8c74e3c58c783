#pragma once

#include <concepts>
#include <cstddef>
#include <limits>
#include <string>
#include <string_view>

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/message.h>

#include "weir/codec.h"

namespace weir {

/// Protobuf messages as records and state: include this header and link libprotobuf. Not part of
/// weir's own headers, so that nobody else needs Protobuf.
///
/// Stored as their wire form behind its length; the schema is `protobuf<full.name>` alone, because
/// messages evolve by their own rules: fields that a program does not know are kept.
template <std::derived_from<google::protobuf::Message> T>
struct Codec<T> {
  static std::string schema() {
    return "protobuf<" + std::string(T::descriptor()->full_name()) + ">";
  }

  static void encode(const T& value, Encoder& out) {
    std::string bytes;
    {
      google::protobuf::io::StringOutputStream stream(&bytes);
      google::protobuf::io::CodedOutputStream coded(&stream);
      // Maps in one order: both ends of an edge compare sums over the bytes.
      coded.SetSerializationDeterministic(true);
      value.SerializePartialToCodedStream(&coded);
    }
    out.varint(bytes.size());
    out.bytes(bytes.data(), bytes.size());
  }

  static void decode(Decoder& in, T& value) {
    const std::string_view bytes = in.view(in.count());
    const bool fits = bytes.size() <= static_cast<std::size_t>(std::numeric_limits<int>::max());
    if (!in.ok() || !fits ||
        !value.ParsePartialFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      in.fail();
    }
  }
};

}  // namespace weir
