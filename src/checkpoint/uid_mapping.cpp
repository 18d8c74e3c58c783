#include "checkpoint/uid_mapping.h"

#include <algorithm>
#include <set>

namespace weir::checkpoint {
namespace {

Error wrong(const std::string& what) {
  return Error{ErrorCode::kInvalidArgument, "weir.state-recovery.uid-mapping: " + what};
}

std::set<std::string> uids_of(const Manifest& manifest) {
  std::set<std::string> uids;
  for (const auto& item : manifest.operators) {
    uids.insert(item.uid);
  }
  for (const auto& item : manifest.sources) {
    uids.insert(item.uid);
  }
  for (const auto& item : manifest.sinks) {
    uids.insert(item.uid);
  }
  return uids;
}

void rename(const UidMapping& mapping, std::string& uid) {
  const auto found = mapping.find(uid);
  if (found != mapping.end()) {
    uid = found->second;
  }
}

}  // namespace

Result<UidMapping> parse_uid_mapping(std::string_view text) {
  UidMapping mapping;
  std::set<std::string> targets;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    const std::size_t equals = part.find('=');
    const std::string from(part.substr(0, std::min(equals, part.size())));
    const std::string to(equals == std::string_view::npos ? "" : part.substr(equals + 1));
    if (from.empty() || to.empty() || to.find('=') != std::string::npos || from == to) {
      return wrong("'" + std::string(part) + "' is not of the form old=new");
    }
    if (!mapping.emplace(from, to).second || !targets.insert(to).second) {
      return wrong("'" + std::string(part) + "' names a uid that another part names too");
    }
  }
  return mapping;
}

Status apply_uid_mapping(const UidMapping& mapping, const std::vector<std::string>& job_uids,
                         Manifest& manifest) {
  const std::set<std::string> known = uids_of(manifest);
  UidMapping wanted;
  for (const auto& [from, to] : mapping) {
    if (std::find(job_uids.begin(), job_uids.end(), to) == job_uids.end()) {
      return wrong("the job has no operator with the uid '" + to + "'");
    }
    if (known.contains(from)) {
      // A chain of renames may free the name: a=b,b=c.
      if (known.contains(to) && !mapping.contains(to)) {
        return wrong("the snapshot has state of both '" + from + "' and '" + to + "'");
      }
      wanted.emplace(from, to);
    } else if (!known.contains(to)) {
      std::string all;
      for (const std::string& uid : known) {
        all += (all.empty() ? "" : ", ") + uid;
      }
      return wrong("the snapshot knows no operator '" + from + "'; it has " + all);
    }
  }
  for (auto& item : manifest.operators) {
    rename(wanted, item.uid);
  }
  for (auto& item : manifest.sources) {
    rename(wanted, item.uid);
  }
  for (auto& item : manifest.sinks) {
    rename(wanted, item.uid);
    for (Committable& committable : item.committables) {
      committable.id.sink_uid = item.uid;
    }
  }
  return {};
}

}  // namespace weir::checkpoint
