// EXPECT: weir: a record, key or state type cannot contain itself
#include "pipeline.h"

#include <vector>

struct Part {
  std::string name;
  std::vector<Part> parts;
};
#ifndef WEIR_WRONG
template <>
struct weir::Codec<Part> {
  static std::string schema() { return "part"; }
  static void encode(const Part& part, weir::Encoder& out) {
    Codec<std::string>::encode(part.name, out);
    out.varint(part.parts.size());
    for (const Part& inner : part.parts) {
      encode(inner, out);
    }
  }
  static void decode(weir::Decoder& in, Part& part) {
    Codec<std::string>::decode(in, part.name);
    for (std::size_t left = in.count(); left > 0 && in.ok(); --left) {
      decode(in, part.parts.emplace_back());
    }
  }
};
#endif
void pipeline() {
  (void)trades().map([](const Trade& trade) { return Part{trade.symbol, {}}; });
}
