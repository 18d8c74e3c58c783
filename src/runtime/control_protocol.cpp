#include "runtime/control_protocol.h"

#include <array>
#include <set>
#include <utility>

#include <unistd.h>
#include <nlohmann/json.hpp>

namespace weir::runtime {
namespace {

using Json = nlohmann::ordered_json;
using Kind = ControlRequest::Kind;

struct KindName {
  Kind kind;
  std::string_view name;
};
constexpr std::array<KindName, 5> kKinds{{{Kind::kStatus, "status"},
                                          {Kind::kTriggerCheckpoint, "trigger-checkpoint"},
                                          {Kind::kTriggerSavepoint, "trigger-savepoint"},
                                          {Kind::kStopWithSavepoint, "stop-with-savepoint"},
                                          {Kind::kCancel, "cancel"}}};
constexpr std::size_t kIdBytesMax = 256;

Error refused(const std::string& why) {
  return Error{ErrorCode::kInvalidArgument, "control request: " + why};
}

std::string dump(const Json& json) {
  // Names and paths may be any bytes; an answer must be JSON all the same.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json head_of(const std::string& id, bool is_ok) {
  Json json{{"version", kControlVersion}};
  if (!id.empty()) {
    json["id"] = Json::parse(id, nullptr, false);
  }
  json["ok"] = is_ok;
  return json;
}

Result<Kind> kind_of(const Json& json) {
  const auto found = json.find("request");
  std::string known;
  for (const KindName& one : kKinds) {
    if (found != json.end() && found->is_string() &&
        found->get_ref<const std::string&>() == one.name) {
      return one.kind;
    }
    known += (known.empty() ? "" : ", ") + std::string(one.name);
  }
  return refused("'request' must be one of " + known);
}

/// Members that a kind of request may have besides version, id and request.
std::set<std::string> members_of(Kind kind) {
  switch (kind) {
    case Kind::kTriggerSavepoint:
      return {"directory"};
    case Kind::kStopWithSavepoint:
      return {"directory", "drain"};
    default:
      return {};
  }
}

Status check_members(const Json& json, Kind kind) {
  const std::set<std::string> allowed = members_of(kind);
  for (const auto& [name, value] : json.items()) {
    if (name != "version" && name != "id" && name != "request" && !allowed.contains(name)) {
      return refused("'" + name + "' is no member of this request");
    }
  }
  return {};
}

}  // namespace

std::string encode_request(const ControlRequest& request) {
  Json json{{"version", kControlVersion}};
  if (!request.id.empty()) {
    json["id"] = Json::parse(request.id, nullptr, false);
  }
  for (const KindName& one : kKinds) {
    if (one.kind == request.kind) {
      json["request"] = one.name;
    }
  }
  if (!request.directory.empty()) {
    json["directory"] = request.directory;
  }
  if (request.is_drain) {
    json["drain"] = true;
  }
  return dump(json);
}

std::string id_of_request(std::string_view line) {
  const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("id") || json.at("id").is_structured()) {
    return "";
  }
  std::string id = dump(json.at("id"));
  return id.size() <= kIdBytesMax ? id : "";
}

Result<ControlRequest> decode_request(std::string_view line) {
  const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    return refused(R"(a line must be a JSON object such as {"version":1,"request":"status"})");
  }
  const auto version = json.find("version");
  if (version == json.end() || !version->is_number_integer()) {
    return refused("'version' is missing or no number; this job speaks version " +
                   std::to_string(kControlVersion));
  }
  if (*version != kControlVersion) {
    return refused("version " + version->dump() + " is not spoken here; this job speaks version " +
                   std::to_string(kControlVersion));
  }
  ControlRequest request;
  WEIR_ASSIGN(request.kind, kind_of(json));
  WEIR_TRY(check_members(json, request.kind));
  if (json.contains("id")) {
    request.id = id_of_request(line);
    if (request.id.empty()) {
      return refused("'id' must be a text or a number of at most " + std::to_string(kIdBytesMax) +
                     " bytes");
    }
  }
  if (const auto directory = json.find("directory"); directory != json.end()) {
    if (!directory->is_string()) {
      return refused("'directory' must be a text");
    }
    request.directory = directory->get<std::string>();
    if (!request.directory.starts_with('/')) {
      return refused("'directory' must be an absolute path, not '" + request.directory + "'");
    }
  }
  if (const auto drain = json.find("drain"); drain != json.end()) {
    if (!drain->is_boolean()) {
      return refused("'drain' must be true or false");
    }
    request.is_drain = drain->get<bool>();
  }
  return request;
}

std::string encode_answer(const std::string& id, const Error& error) {
  Json json = head_of(id, false);
  json["code"] = error_code_name(error.code);
  json["error"] = error.message;
  return dump(json);
}

std::string encode_answer(const std::string& id, const JobReport& report) {
  const JobStatus& status = report.status;
  Json json = head_of(id, true);
  json["job_name"] = report.job_name;
  json["job_id"] = report.job_id;
  json["process"] = ::getpid();
  json["directory"] = report.directory;
  json["phase"] = job_phase_name(status.phase);
  json["attempt"] = status.attempt;
  json["restarts"] = status.restarts;
  json["records_in"] = status.records_in;
  json["records_out"] = status.records_out;
  json["checkpoints_completed"] = status.checkpoints_completed;
  json["checkpoints_failed"] = status.checkpoints_failed;
  json["last_checkpoint"] = status.last_checkpoint;
  json["last_checkpoint_duration_ms"] = status.last_checkpoint_duration_ms;
  json["last_checkpoint_size_bytes"] = status.last_checkpoint_size_bytes;
  json["last_checkpoint_full_size_bytes"] = status.last_checkpoint_full_size_bytes;
  json["restored_checkpoint"] = status.restored_checkpoint;
  json["pending_committables"] = status.pending_committables;
  json["commit_retries"] = status.commit_retries;
  json["oldest_commit_age_ms"] = status.oldest_commit_age_ms;
  return dump(json);
}

std::string encode_answer(const std::string& id, const SnapshotInfo& snapshot) {
  Json json = head_of(id, true);
  json["checkpoint"] = snapshot.checkpoint;
  json["path"] = snapshot.path;
  return dump(json);
}

std::string encode_answer(const std::string& id, const JobResult& result) {
  Json json = head_of(id, true);
  const JobPhase phase = result.state == JobState::kFinished    ? JobPhase::kFinished
                         : result.state == JobState::kSuspended ? JobPhase::kSuspended
                                                                : JobPhase::kCanceled;
  json["phase"] = job_phase_name(phase);
  json["last_checkpoint"] = result.last_checkpoint;
  return dump(json);
}

}  // namespace weir::runtime
