#include "state_processor/new_state.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>

#include "state/timestamp_set.h"
#include "weir/time.h"

namespace weir::state_processor {
namespace {

using Kind = Schema::Kind;

struct Image {
  std::size_t bytes = 0;
  std::size_t alignment = 1;
};

/// Of members one after the other; nothing where the compiler would put padding between them.
std::optional<Image> image_of(const Schema& schema);

std::optional<Image> image_of_members(const std::vector<Schema>& members) {
  Image all;
  for (const Schema& member : members) {
    const std::optional<Image> image = image_of(member);
    if (!image.has_value() || all.bytes % image->alignment != 0) {
      return std::nullopt;
    }
    all.bytes += image->bytes;
    all.alignment = std::max(all.alignment, image->alignment);
  }
  return all.bytes == 0 || all.bytes % all.alignment != 0 ? std::nullopt : std::optional(all);
}

std::optional<Image> image_of(const Schema& schema) {
  switch (schema.kind) {
    case Kind::kSigned:
    case Kind::kUnsigned:
    case Kind::kFloat:
      return Image{schema.size, schema.size};
    case Kind::kEnum:
    case Kind::kStruct:
      return image_of_members(schema.parts);
    case Kind::kArray: {
      std::optional<Image> image = image_of(schema.parts[0]);
      if (!image.has_value() || schema.size == 0) {
        return std::nullopt;
      }
      image->bytes *= schema.size;
      return image;
    }
    case Kind::kExpiring: {
      const Schema time{Kind::kSigned, sizeof(TimestampMs), "", {}, {}};
      return image_of_members({schema.parts[0], time});
    }
    default:
      return std::nullopt;
  }
}

Result<Schema> parse(const std::string& text, const char* option) {
  auto schema = Schema::parse(text);
  if (!schema.ok()) {
    return Error{ErrorCode::kInvalidArgument, schema.error().message}.with_context(option);
  }
  return schema;
}

}  // namespace

bool is_timers_name(std::string_view state) {
  return state == "event-time-timers" || state == "processing-time-timers";
}

std::uint32_t fixed_size_of(const Schema& schema) {
  const std::optional<Image> image = image_of(schema);
  return image.has_value() ? static_cast<std::uint32_t>(image->bytes) : 0;
}

Result<state::StateSchema> schema_of_new_state(const std::string& name, const std::string& key,
                                               const std::string& value) {
  state::StateSchema schema;
  schema.name = name;
  WEIR_ASSIGN(const Schema key_schema, parse(key, "the schema of the key"));
  schema.key_schema = key_schema.to_string();
  schema.key_size = fixed_size_of(key_schema);
  if (is_timers_name(name)) {
    schema.kind = state::StateKind::kTimers;
    schema.value_schema = Codec<state::TimestampSet>::schema();
    if (!value.empty()) {
      return Error{ErrorCode::kInvalidArgument,
                   "'" + name +
                       "' are timers, whose values are lists of times: leave the schema "
                       "of the value out"};
    }
    return schema;
  }
  WEIR_ASSIGN(const Schema value_schema, parse(value, "the schema of the value"));
  schema.value_schema = value_schema.to_string();
  schema.value_size = fixed_size_of(value_schema);
  return schema;
}

}  // namespace weir::state_processor
