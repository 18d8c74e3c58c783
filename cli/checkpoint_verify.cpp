#include <string>
#include <utility>

#include <fmt/format.h>

#include "checkpoint/snapshot_verification.h"
#include "checkpoint_commands.h"
#include "io/local_file_system.h"
#include "output.h"
#include "snapshot_json.h"

namespace weir::cli {
namespace {

Json to_json(const checkpoint::SnapshotLocation& location,
             const checkpoint::SnapshotVerification& verification) {
  Json faults = Json::array();
  for (const checkpoint::SnapshotFault& fault : verification.faults) {
    faults.push_back({{"file", fault.file},
                      {"offset", fault.offset.has_value() ? Json(*fault.offset) : Json()},
                      {"what", fault.what}});
  }
  Json json{{"path", location.directory}, {"is_whole", verification.is_whole()}};
  if (verification.manifest.has_value()) {
    json["kind"] = checkpoint::snapshot_kind_name(verification.manifest->kind);
    json["checkpoint"] = verification.manifest->checkpoint;
  }
  json["files_read"] = verification.files;
  json["bytes_read"] = verification.bytes;
  json["entries_read"] = verification.entries;
  json["faults"] = std::move(faults);
  return json;
}

std::string to_text(const Json& json) {
  const std::string title =
      json.contains("kind") ? title_of(json) : std::string("manifest unreadable");
  std::string text;
  for (const Json& fault : json.at("faults")) {
    const Json& offset = fault.at("offset");
    text +=
        fmt::format("DAMAGED {}{}\n        {}\n", printable(fault.at("file").get<std::string>()),
                    offset.is_null() ? "" : fmt::format(" at byte {}", offset.get<std::uint64_t>()),
                    printable(fault.at("what").get<std::string>()));
  }
  const std::string read = fmt::format("read {}, {}, state entries: {}",
                                       counted(json.at("files_read").get<std::uint64_t>(), "file"),
                                       human_bytes(json.at("bytes_read").get<std::uint64_t>()),
                                       json.at("entries_read").get<std::uint64_t>());
  const auto faults = json.at("faults").size();
  return text +
         fmt::format("{}: {}: {}\n", printable(json.at("path").get<std::string>()), title,
                     faults == 0 ? "whole; " + read : counted(faults, "fault") + "; " + read);
}

}  // namespace

int verify_snapshot_at(const std::string& snapshot, bool is_json) {
  FileSystem& files = local_file_system();
  const auto location = checkpoint::locate_snapshot(files, snapshot);
  if (!location.ok()) {
    return print_error(location.error());
  }
  const checkpoint::SnapshotVerification verification =
      checkpoint::verify_snapshot(files, location.value());
  const Json json = to_json(location.value(), verification);
  if (is_json) {
    print_json(json);
  } else {
    print_text(to_text(json));
  }
  return verification.is_whole() ? kExitOk : kExitFailed;
}

}  // namespace weir::cli
