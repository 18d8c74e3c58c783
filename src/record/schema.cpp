#include "record/schema.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace weir {
namespace {

constexpr int kDepthMax = 100;
/// Of an array. Elements may take no bytes, so that no value's length would bound the work.
constexpr std::size_t kElementsMax = std::size_t{1} << 24;

struct Number {
  std::string_view name;
  Schema::Kind kind;
  std::size_t size;
};
constexpr std::array kNumbers{
    Number{"bool", Schema::Kind::kBool, 1},    Number{"i8", Schema::Kind::kSigned, 1},
    Number{"i16", Schema::Kind::kSigned, 2},   Number{"i32", Schema::Kind::kSigned, 4},
    Number{"i64", Schema::Kind::kSigned, 8},   Number{"u8", Schema::Kind::kUnsigned, 1},
    Number{"u16", Schema::Kind::kUnsigned, 2}, Number{"u32", Schema::Kind::kUnsigned, 4},
    Number{"u64", Schema::Kind::kUnsigned, 8}, Number{"f32", Schema::Kind::kFloat, 4},
    Number{"f64", Schema::Kind::kFloat, 8},    Number{"string", Schema::Kind::kString, 0},
};

struct Wrapper {
  std::string_view name;
  Schema::Kind kind;
  std::size_t parts;
};
constexpr std::array kWrappers{
    Wrapper{"enum", Schema::Kind::kEnum, 1},         Wrapper{"array", Schema::Kind::kArray, 1},
    Wrapper{"optional", Schema::Kind::kOptional, 1}, Wrapper{"list", Schema::Kind::kList, 1},
    Wrapper{"set", Schema::Kind::kSet, 1},           Wrapper{"map", Schema::Kind::kMap, 2},
    Wrapper{"expiring", Schema::Kind::kExpiring, 1},
};

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<Schema> parse_all() {
    WEIR_ASSIGN(Schema schema, parse(0));
    if (at_ != text_.size()) {
      return damaged();
    }
    return schema;
  }

 private:
  Error damaged() const {
    return Error{ErrorCode::kCorruption, "'" + std::string(text_) + "' is no schema: byte " +
                                             std::to_string(at_) + " is unexpected"};
  }
  bool take(char wanted) {
    const bool is_it = at_ < text_.size() && text_[at_] == wanted;
    at_ += is_it ? 1 : 0;
    return is_it;
  }
  /// Up to where this schema ends if it is not taken apart.
  std::string_view word() const {
    std::size_t end = at_;
    int depth = 0;
    for (; end < text_.size(); ++end) {
      const char c = text_[end];
      const bool opens = c == '<' || c == '{' || c == '(' || c == '[';
      const bool closes = c == '>' || c == '}' || c == ')' || c == ']';
      if (depth == 0 && (closes || c == ',')) {
        break;
      }
      depth += opens ? 1 : closes ? -1 : 0;
    }
    return text_.substr(at_, end - at_);
  }

  Result<Schema> parse(int depth) {
    if (depth > kDepthMax) {
      return damaged();
    }
    const std::string_view whole = word();
    const auto number = std::find_if(kNumbers.begin(), kNumbers.end(),
                                     [&](const Number& each) { return each.name == whole; });
    if (number != kNumbers.end()) {
      at_ += whole.size();
      return Schema{number->kind, number->size, {}, {}, {}};
    }
    const std::string_view name = whole.substr(0, whole.find_first_of("<{"));
    if (name == "struct" && whole.size() > name.size() && whole[name.size()] == '{') {
      at_ += name.size() + 1;
      return parse_fields(depth);
    }
    const auto wrapper = std::find_if(kWrappers.begin(), kWrappers.end(),
                                      [&](const Wrapper& each) { return each.name == name; });
    if (wrapper != kWrappers.end() && whole.size() > name.size() && whole[name.size()] == '<') {
      at_ += name.size() + 1;
      return parse_parts(*wrapper, depth);
    }
    if (whole.empty()) {
      return damaged();
    }
    at_ += whole.size();
    if (name == "protobuf" && whole.size() > name.size() + 2 && whole.back() == '>') {
      return Schema{Schema::Kind::kProtobuf, 0, std::string(whole), {}, {}};
    }
    return Schema{Schema::Kind::kOpaque, 0, std::string(whole), {}, {}};
  }

  Result<Schema> parse_parts(const Wrapper& wrapper, int depth) {
    Schema schema{wrapper.kind, 0, {}, {}, {}};
    for (std::size_t i = 0; i < wrapper.parts; ++i) {
      if (i > 0 && !take(',')) {
        return damaged();
      }
      WEIR_ASSIGN(Schema part, parse(depth + 1));
      schema.parts.push_back(std::move(part));
    }
    if (wrapper.kind == Schema::Kind::kArray) {
      if (!take(',')) {
        return damaged();
      }
      const char* const begin = text_.data() + at_;
      const auto [end, failure] = std::from_chars(begin, text_.data() + text_.size(), schema.size);
      if (failure != std::errc() || schema.size > kElementsMax) {
        return damaged();
      }
      at_ += static_cast<std::size_t>(end - begin);
    }
    if (!take('>')) {
      return damaged();
    }
    return schema;
  }

  Result<Schema> parse_fields(int depth) {
    Schema schema{Schema::Kind::kStruct, 0, {}, {}, {}};
    if (take('}')) {
      return schema;
    }
    do {
      const std::size_t colon = text_.find(':', at_);
      if (colon == std::string_view::npos || colon == at_) {
        return damaged();
      }
      schema.names.emplace_back(text_.substr(at_, colon - at_));
      at_ = colon + 1;
      WEIR_ASSIGN(Schema part, parse(depth + 1));
      schema.parts.push_back(std::move(part));
    } while (take(','));
    if (!take('}')) {
      return damaged();
    }
    return schema;
  }

  const std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

Result<Schema> Schema::parse(std::string_view text) { return Parser(text).parse_all(); }

std::string Schema::to_string() const {
  if (kind == Kind::kOpaque || kind == Kind::kProtobuf) {
    return text;
  }
  if (kind == Kind::kStruct) {
    std::string result = "struct{";
    for (std::size_t i = 0; i < parts.size(); ++i) {
      result += (i == 0 ? "" : ",") + names[i] + ":" + parts[i].to_string();
    }
    return result + "}";
  }
  for (const Wrapper& wrapper : kWrappers) {
    if (wrapper.kind == kind) {
      std::string result = std::string(wrapper.name) + "<" + parts[0].to_string();
      if (kind == Kind::kMap) {
        result += "," + parts[1].to_string();
      } else if (kind == Kind::kArray) {
        result += "," + std::to_string(size);
      }
      return result + ">";
    }
  }
  for (const Number& number : kNumbers) {
    if (number.kind == kind && number.size == size) {
      return std::string(number.name);
    }
  }
  return {};
}

int Schema::field(std::string_view name) const {
  const auto found = std::find(names.begin(), names.end(), name);
  return found == names.end() ? -1 : static_cast<int>(found - names.begin());
}

bool can_be_skipped(const Schema& schema) {
  return schema.kind != Schema::Kind::kOpaque &&
         std::all_of(schema.parts.begin(), schema.parts.end(), can_be_skipped);
}

bool skip_value(const Schema& schema, Decoder& in) {
  const auto skip_each = [&](std::size_t count) {
    for (std::size_t i = 0; i < count && in.ok(); ++i) {
      for (const Schema& part : schema.parts) {
        if (!skip_value(part, in)) {
          return false;
        }
      }
    }
    return in.ok();
  };
  switch (schema.kind) {
    case Schema::Kind::kBool:
    case Schema::Kind::kSigned:
    case Schema::Kind::kUnsigned:
    case Schema::Kind::kFloat:
      in.view(schema.size);
      return in.ok();
    case Schema::Kind::kString:
    case Schema::Kind::kProtobuf:
      in.view(in.count());
      return in.ok();
    case Schema::Kind::kEnum:
    case Schema::Kind::kStruct:
      return skip_each(1);
    case Schema::Kind::kArray:
      return skip_each(schema.size);
    case Schema::Kind::kOptional: {
      const auto flag = in.raw<std::uint8_t>();
      return in.ok() && flag <= 1 && skip_each(flag);
    }
    case Schema::Kind::kList:
    case Schema::Kind::kSet:
    case Schema::Kind::kMap:
      return skip_each(in.count());
    case Schema::Kind::kExpiring:
      if (!skip_each(1)) {
        return false;
      }
      in.view(sizeof(std::int64_t));
      return in.ok();
    case Schema::Kind::kOpaque:
      break;
  }
  return false;
}

}  // namespace weir
