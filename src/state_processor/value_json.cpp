#include "state_processor/value_json.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "checkpoint/base64.h"
#include "checkpoint/utf8.h"

namespace weir::state_processor {
namespace {

using Kind = Schema::Kind;
constexpr const char* kBytesMember = "b64";

Error malformed() { return Error{ErrorCode::kCorruption, "the value does not fit its schema"}; }

Result<Json> part_to_json(const Schema& schema, Decoder& in);

template <class T>
Json number(Decoder& in) {
  return Json(in.raw<T>());
}

Json integer(const Schema& schema, Decoder& in) {
  const bool is_signed = schema.kind == Kind::kSigned;
  switch (schema.size) {
    case 1:
      return is_signed ? number<std::int8_t>(in) : number<std::uint8_t>(in);
    case 2:
      return is_signed ? number<std::int16_t>(in) : number<std::uint16_t>(in);
    case 4:
      return is_signed ? number<std::int32_t>(in) : number<std::uint32_t>(in);
    default:
      return is_signed ? number<std::int64_t>(in) : number<std::uint64_t>(in);
  }
}

Json real(double value) {
  if (std::isnan(value)) {
    return "NaN";
  }
  if (std::isinf(value)) {
    return value > 0 ? "Infinity" : "-Infinity";
  }
  return value;
}

Json text_or_bytes(std::string_view text) {
  return checkpoint::is_utf8(text) ? Json(text)
                                   : Json{{kBytesMember, checkpoint::base64_encode(text)}};
}

Result<Json> elements(const Schema& schema, std::size_t count, Decoder& in) {
  Json array = Json::array();
  for (std::size_t i = 0; i < count; ++i) {
    WEIR_ASSIGN(Json element, part_to_json(schema, in));
    array.push_back(std::move(element));
  }
  return array;
}

Result<Json> map(const Schema& schema, Decoder& in) {
  const std::size_t count = in.count();
  Json pairs = Json::array();
  bool is_object = schema.parts[0].kind == Kind::kString;
  for (std::size_t i = 0; i < count; ++i) {
    WEIR_ASSIGN(Json key, part_to_json(schema.parts[0], in));
    WEIR_ASSIGN(Json value, part_to_json(schema.parts[1], in));
    is_object = is_object && key.is_string();
    pairs.push_back(Json::array({std::move(key), std::move(value)}));
  }
  if (!is_object) {
    return pairs;
  }
  Json object = Json::object();
  for (Json& pair : pairs) {
    object[pair[0].get<std::string>()] = std::move(pair[1]);
  }
  return object;
}

Result<Json> unchecked_to_json(const Schema& schema, Decoder& in) {
  switch (schema.kind) {
    case Kind::kBool: {
      const auto byte = in.raw<std::uint8_t>();
      return byte > 1 ? Result<Json>(malformed()) : Result<Json>(Json(byte == 1));
    }
    case Kind::kSigned:
    case Kind::kUnsigned:
      return integer(schema, in);
    case Kind::kFloat:
      return real(schema.size == 4 ? static_cast<double>(in.raw<float>()) : in.raw<double>());
    case Kind::kString:
      return text_or_bytes(in.view(in.count()));
    case Kind::kProtobuf:
      return Json{{kBytesMember, checkpoint::base64_encode(in.view(in.count()))}};
    case Kind::kEnum:
      return part_to_json(schema.parts[0], in);
    case Kind::kArray:
      return elements(schema.parts[0], schema.size, in);
    case Kind::kList:
    case Kind::kSet:
      return elements(schema.parts[0], in.count(), in);
    case Kind::kMap:
      return map(schema, in);
    case Kind::kOptional: {
      const auto flag = in.raw<std::uint8_t>();
      if (flag > 1) {
        return malformed();
      }
      if (flag == 0) {
        return Json();
      }
      WEIR_ASSIGN(Json value, part_to_json(schema.parts[0], in));
      return schema.parts[0].kind == Kind::kOptional ? Json::array({std::move(value)}) : value;
    }
    case Kind::kStruct: {
      Json object = Json::object();
      for (std::size_t i = 0; i < schema.parts.size(); ++i) {
        WEIR_ASSIGN(object[schema.names[i]], part_to_json(schema.parts[i], in));
      }
      return object;
    }
    case Kind::kExpiring: {
      WEIR_ASSIGN(Json value, part_to_json(schema.parts[0], in));
      return Json{{"value", std::move(value)}, {"last_access_ms", in.raw<std::int64_t>()}};
    }
    case Kind::kOpaque:
      break;
  }
  return Error{ErrorCode::kInvalidArgument, "'" + schema.text + "' is a form of the job's own"};
}

Result<Json> part_to_json(const Schema& schema, Decoder& in) {
  auto json = unchecked_to_json(schema, in);
  return in.ok() || !json.ok() ? std::move(json) : Result<Json>(malformed());
}

/// Builds the encoded value and keeps the path to the part at hand.
class JsonReader {
 public:
  explicit JsonReader(std::string& encoded) : out_(encoded) {}

  Status read(const Schema& schema, const Json& json) {
    switch (schema.kind) {
      case Kind::kBool:
        return json.is_boolean() ? put(static_cast<std::uint8_t>(json.get<bool>()))
                                 : wrong("true or false", json);
      case Kind::kSigned:
        return read_signed(schema.size, json);
      case Kind::kUnsigned:
        return read_unsigned(schema.size, json);
      case Kind::kFloat:
        return read_real(schema.size, json);
      case Kind::kString:
        return read_string(json);
      case Kind::kProtobuf:
        return read_length_and_bytes(json);
      case Kind::kEnum:
        return read(schema.parts[0], json);
      case Kind::kArray:
        return json.is_array() && json.size() == schema.size
                   ? read_elements(schema.parts[0], json)
                   : wrong("an array of " + std::to_string(schema.size), json);
      case Kind::kList:
      case Kind::kSet:
        if (!json.is_array()) {
          return wrong("an array", json);
        }
        out_.varint(json.size());
        return read_elements(schema.parts[0], json);
      case Kind::kMap:
        return read_map(schema, json);
      case Kind::kOptional:
        return read_optional(schema.parts[0], json);
      case Kind::kStruct:
        return read_members(schema.names, schema.parts, json);
      case Kind::kExpiring: {
        WEIR_ASSIGN(const Schema time, Schema::parse("i64"));
        return read_members({"value", "last_access_ms"}, {schema.parts[0], time}, json);
      }
      case Kind::kOpaque:
        break;
    }
    return wrong("nothing: '" + schema.text + "' is a form of the job's own", json);
  }

  Status read_bytes(const Json& json) {
    const bool is_bytes = json.is_object() && json.size() == 1 && json.contains(kBytesMember) &&
                          json.at(kBytesMember).is_string();
    const auto bytes = is_bytes
                           ? checkpoint::base64_decode(json.at(kBytesMember).get<std::string>())
                           : std::nullopt;
    if (!bytes.has_value()) {
      return wrong(R"({"b64": ...} with base64)", json);
    }
    out_.bytes(bytes->data(), bytes->size());
    return {};
  }

 private:
  Status wrong(const std::string& wanted, const Json& json) const {
    constexpr std::size_t kShownMax = 60;
    std::string shown = json.dump(-1, ' ', false, Json::error_handler_t::replace);
    if (shown.size() > kShownMax) {
      shown = shown.substr(0, kShownMax) + "...";
    }
    return Error{ErrorCode::kInvalidArgument,
                 (path_.empty() ? "" : path_.substr(path_.front() == '.' ? 1 : 0) + ": ") +
                     "expected " + wanted + ", not " + shown};
  }

  template <class T>
  Status put(T value) {
    out_.raw(value);
    return {};
  }
  Status put_low_bytes(std::size_t size, std::uint64_t value) {
    out_.bytes(&value, size);
    return {};
  }

  Status read_signed(std::size_t size, const Json& json) {
    const std::string wanted = "an integer of " + std::to_string(size * 8) + " bits";
    if (!json.is_number_integer() ||
        (json.is_number_unsigned() &&
         json.get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max())) {
      return wrong(wanted, json);
    }
    const auto value = json.get<std::int64_t>();
    const std::int64_t highest = size == 8 ? std::numeric_limits<std::int64_t>::max()
                                           : (std::int64_t{1} << (size * 8 - 1)) - 1;
    return value > highest || value < -highest - 1
               ? wrong(wanted, json)
               : put_low_bytes(size, static_cast<std::uint64_t>(value));
  }
  Status read_unsigned(std::size_t size, const Json& json) {
    const bool fits =
        json.is_number_unsigned() && (size == 8 || json.get<std::uint64_t>() >> (size * 8) == 0);
    return fits ? put_low_bytes(size, json.get<std::uint64_t>())
                : wrong("a number from 0 on of " + std::to_string(size * 8) + " bits", json);
  }
  Status read_real(std::size_t size, const Json& json) {
    double value = 0;
    if (json.is_number()) {
      value = json.get<double>();
    } else if (json == "NaN") {
      value = std::numeric_limits<double>::quiet_NaN();
    } else if (json == "Infinity" || json == "-Infinity") {
      value = (json == "Infinity" ? 1 : -1) * std::numeric_limits<double>::infinity();
    } else {
      return wrong("a number", json);
    }
    return size == 4 ? put(static_cast<float>(value)) : put(value);
  }
  Status read_string(const Json& json) {
    if (json.is_string()) {
      const auto& text = json.get_ref<const std::string&>();
      out_.varint(text.size());
      out_.bytes(text.data(), text.size());
      return {};
    }
    return read_length_and_bytes(json).ok() ? Status()
                                            : wrong(R"(a string, or {"b64": ...})", json);
  }
  Status read_length_and_bytes(const Json& json) {
    std::string bytes;
    JsonReader inner(bytes);
    inner.path_ = path_;
    WEIR_TRY(inner.read_bytes(json));
    out_.varint(bytes.size());
    out_.bytes(bytes.data(), bytes.size());
    return {};
  }
  Status read_elements(const Schema& schema, const Json& json) {
    for (std::size_t i = 0; i < json.size(); ++i) {
      WEIR_TRY(at("[" + std::to_string(i) + "]", [&] { return read(schema, json[i]); }));
    }
    return {};
  }
  Status read_map(const Schema& schema, const Json& json) {
    const bool is_object = json.is_object() && schema.parts[0].kind == Kind::kString;
    if (!is_object && !json.is_array()) {
      return wrong(schema.parts[0].kind == Kind::kString ? "an object" : "an array of pairs", json);
    }
    out_.varint(json.size());
    if (is_object) {
      for (const auto& [key, value] : json.items()) {
        WEIR_TRY(read_string(Json(key)));
        const Json& of_key = value;
        WEIR_TRY(at("." + key, [&] { return read(schema.parts[1], of_key); }));
      }
      return {};
    }
    for (std::size_t i = 0; i < json.size(); ++i) {
      WEIR_TRY(at("[" + std::to_string(i) + "]", [&] { return read_pair(schema, json[i]); }));
    }
    return {};
  }
  Status read_pair(const Schema& schema, const Json& json) {
    if (!json.is_array() || json.size() != 2) {
      return wrong("[key, value]", json);
    }
    WEIR_TRY(read(schema.parts[0], json[0]));
    return read(schema.parts[1], json[1]);
  }
  Status read_optional(const Schema& schema, const Json& json) {
    if (json.is_null()) {
      return put(std::uint8_t{0});
    }
    out_.raw(std::uint8_t{1});
    if (schema.kind != Kind::kOptional) {
      return read(schema, json);
    }
    return json.is_array() && json.size() == 1 ? read(schema, json[0])
                                               : wrong("null or an array of one", json);
  }
  Status read_members(const std::vector<std::string>& names, const std::vector<Schema>& parts,
                      const Json& json) {
    if (!json.is_object()) {
      return wrong("an object", json);
    }
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (!json.contains(names[i])) {
        return wrong("a member '" + names[i] + "'", json);
      }
      WEIR_TRY(at("." + names[i], [&] { return read(parts[i], json.at(names[i])); }));
    }
    for (const auto& [name, value] : json.items()) {
      if (std::find(names.begin(), names.end(), name) == names.end()) {
        return wrong("no member '" + name + "'", json);
      }
    }
    return {};
  }

  template <class Work>
  Status at(const std::string& step, const Work& work) {
    const std::size_t length = path_.size();
    path_ += step;
    const Status status = work();
    path_.resize(length);
    return status;
  }

  Encoder out_;
  std::string path_;
};

}  // namespace

Result<Json> value_to_json(const Schema& schema, std::string_view encoded) {
  if (schema.kind == Kind::kOpaque) {
    return Json{{kBytesMember, checkpoint::base64_encode(encoded)}};
  }
  Decoder in(encoded);
  WEIR_ASSIGN(Json json, part_to_json(schema, in));
  return in.exhausted() ? Result<Json>(std::move(json)) : Result<Json>(malformed());
}

Status json_to_value(const Schema& schema, const Json& json, std::string& encoded) {
  JsonReader reader(encoded);
  return schema.kind == Kind::kOpaque ? reader.read_bytes(json) : reader.read(schema, json);
}

}  // namespace weir::state_processor
