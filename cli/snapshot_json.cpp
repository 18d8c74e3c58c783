#include "snapshot_json.h"

#include <utility>

namespace weir::cli {

Json summary_of(const checkpoint::LoadedSnapshot& snapshot) {
  const checkpoint::Manifest& manifest = snapshot.manifest;
  return {{"path", snapshot.location.directory},
          {"kind", checkpoint::snapshot_kind_name(manifest.kind)},
          {"checkpoint", manifest.checkpoint},
          {"job_id", manifest.job_id},
          {"job_name", manifest.job_name},
          {"pipeline_id", manifest.pipeline_id},
          {"attempt", manifest.attempt},
          {"incarnation", manifest.incarnation},
          {"parent_checkpoint", manifest.parent_checkpoint},
          {"is_terminal", manifest.is_terminal},
          {"triggered_ms", manifest.triggered_ms},
          {"completed_ms", manifest.completed_ms},
          {"max_parallelism", manifest.max_parallelism},
          {"files", checkpoint::files_of(manifest).size()},
          {"size_bytes", checkpoint::state_size_bytes(manifest)}};
}

Json summary_of(const checkpoint::ListedSnapshot& snapshot) {
  if (!snapshot.manifest.ok()) {
    return {{"path", snapshot.location.directory}, {"error", snapshot.manifest.error().message}};
  }
  Json json = summary_of(checkpoint::LoadedSnapshot{snapshot.location, snapshot.manifest.value()});
  json["manifest_bytes"] = snapshot.manifest_bytes;
  return json;
}

std::string title_of(const Json& summary) {
  return summary.at("kind").get<std::string>() + " " +
         std::to_string(summary.at("checkpoint").get<std::int64_t>());
}

}  // namespace weir::cli
