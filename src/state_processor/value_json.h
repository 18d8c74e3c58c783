#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "record/schema.h"
#include "weir/result.h"

/// Looks at and changes snapshots without their job: Flink's State Processor API.
namespace weir::state_processor {

/// Keeps its members in the order in which they were put in.
using Json = nlohmann::ordered_json;

/// Values as JSON by their stored schema (docs/formats/codec.md). Integers, floats and enums are
/// numbers; what JSON has no number for is "NaN", "Infinity" or "-Infinity". Strings that are not
/// UTF-8, Protobuf messages, and values with a Codec of their own are {"b64": ...}. Lists, sets and
/// arrays are arrays; maps from strings are objects, other maps arrays of [key, value]. An absent
/// optional is null, a present optional<optional<T>> an array of one. A value with a time to live
/// is {"value": ..., "last_access_ms": ...}.

/// kCorruption when the value is malformed, kInvalidArgument when a part of it has a Codec of its
/// own, whose length is not known.
Result<Json> value_to_json(const Schema& schema, std::string_view encoded);

/// Appends the encoded value. kInvalidArgument naming the part of `json` that does not fit; members
/// that a struct does not have, and those that are not given, do not fit.
Status json_to_value(const Schema& schema, const Json& json, std::string& encoded);

}  // namespace weir::state_processor
