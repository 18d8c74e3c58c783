#pragma once

#include <string>
#include <string_view>

#include "checkpoint/manifest.h"
#include "weir/result.h"

namespace weir::checkpoint {

/// The JSON body of a manifest: deterministic, keys sorted, opaque bytes in base64.
std::string manifest_to_json(const Manifest& manifest);

/// Strict: every key must be there with the right type, and no other. Ranges and relations are
/// checked by validate_manifest. kCorruption naming the place.
Result<Manifest> manifest_from_json(std::string_view body);

}  // namespace weir::checkpoint
