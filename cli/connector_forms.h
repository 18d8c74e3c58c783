#pragma once

#include <string>
#include <string_view>

#include "output.h"
#include "weir/sink.h"
#include "weir/source.h"

namespace weir::cli {

/// What connectors store in their own forms, as far as the connectors of this build can read it.
/// A manifest does not say which connector wrote a split: each form is tried, and all are strict.

/// Always has "form": "kafka", "file", "generator", "text", "bytes", and then that form's members.
Json position_of(const SourceSplit& split);
/// The same on one line.
std::string position_text(const Json& position);

/// Likewise for a committable's payload: "kafka", "file", "bytes". Payloads hold no secrets.
Json payload_of(const Committable& committable, const std::string& pipeline_id);
std::string payload_text(const Json& payload);

}  // namespace weir::cli
