#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/manifest.h"
#include "weir/result.h"

namespace weir::checkpoint {

/// Former uid -> present one.
using UidMapping = std::map<std::string, std::string>;

/// Reads "old=new,old=new". kInvalidArgument for anything else, and where two become one.
Result<UidMapping> parse_uid_mapping(std::string_view text);

/// Renames operators, sources and sinks of `manifest`, committables included. A name that was mapped
/// before (the job has taken a checkpoint since) is left as it is. kInvalidArgument when the snapshot
/// knows neither name, when the job has no operator of the new name, or when the new name is taken.
Status apply_uid_mapping(const UidMapping& mapping, const std::vector<std::string>& job_uids,
                         Manifest& manifest);

}  // namespace weir::checkpoint
