#include "base/local_path.h"

#include <algorithm>

namespace weir {
namespace {

constexpr std::string_view kFileScheme = "file:";

/// "s3" of "s3://bucket/key"; empty for a path.
std::string_view scheme_of(std::string_view location) {
  const std::string_view scheme =
      location.substr(0, std::min(location.find("://"), location.size()));
  return scheme.size() == location.size() || scheme.find('/') != std::string_view::npos
             ? std::string_view()
             : scheme;
}

Error wrong(std::string_view location, const std::string& why) {
  return Error{ErrorCode::kInvalidArgument, "'" + std::string(location) + "' " + why};
}

}  // namespace

Result<std::string> local_path(std::string_view location) {
  if (!location.starts_with(kFileScheme)) {
    const std::string_view scheme = scheme_of(location);
    if (!scheme.empty()) {
      return wrong(location, "is on '" + std::string(scheme) +
                                 "', which this build cannot reach: name a local path, such as "
                                 "/data or file:///data");
    }
    return std::string(location);
  }
  std::string_view path = location.substr(kFileScheme.size());
  if (path.starts_with("//")) {
    path.remove_prefix(2);
  }
  if (!path.starts_with('/')) {
    return wrong(location,
                 "is not a path of this machine: three slashes and the absolute path "
                 "follow 'file:', as in file:///data");
  }
  // Not more than one slash in front: two would be a host's in some systems.
  path.remove_prefix(std::min(path.find_first_not_of('/'), path.size()) - 1);
  return std::string(path);
}

}  // namespace weir
