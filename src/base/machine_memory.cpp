#include "base/machine_memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>

#include <unistd.h>

namespace weir {
namespace {

constexpr std::int64_t kNoLimit = std::numeric_limits<std::int64_t>::max();

/// kNoLimit when there is no such file or it says "max".
std::int64_t read_limit(const std::string& path) {
  std::ifstream file(path);
  std::int64_t limit = 0;
  return file >> limit && limit > 0 ? limit : kNoLimit;
}

/// The least limit of the groups from `group` up to the root of the hierarchy at `mount`.
std::int64_t limit_of_group(const std::string& mount, std::string group, const std::string& file) {
  std::int64_t limit = read_limit(mount + "/" + file);
  while (group.size() > 1) {
    limit = std::min(limit, read_limit(mount + group + "/" + file));
    group.erase(group.rfind('/'));
  }
  return limit;
}

}  // namespace

std::int64_t available_memory_bytes() {
  std::int64_t limit = std::int64_t{::sysconf(_SC_PHYS_PAGES)} * ::sysconf(_SC_PAGESIZE);
  // Lines "number:controllers:path": version 2 has no controllers, version 1 names them.
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) {
      continue;
    }
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    if (controllers.empty()) {
      limit = std::min(limit, limit_of_group("/sys/fs/cgroup", path, "memory.max"));
    } else if (controllers == "memory") {
      limit =
          std::min(limit, limit_of_group("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes"));
    }
  }
  return limit;
}

std::int64_t resident_memory_bytes() {
  std::ifstream file("/proc/self/statm");  // in pages: size, resident, shared with files
  std::int64_t size = 0;
  std::int64_t resident = 0;
  std::int64_t shared = 0;
  return file >> size >> resident >> shared ? (resident - shared) * ::sysconf(_SC_PAGESIZE) : 0;
}

}  // namespace weir
