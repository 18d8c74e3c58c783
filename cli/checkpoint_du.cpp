#include <string>
#include <utility>

#include <fmt/format.h>

#include "checkpoint/snapshot_directory.h"
#include "checkpoint/storage_usage.h"
#include "checkpoint_commands.h"
#include "io/local_file_system.h"
#include "output.h"

namespace weir::cli {
namespace {

Json to_json(const checkpoint::JobDirectory& job, const checkpoint::StorageUsage& usage) {
  Json snapshots = Json::array();
  for (const checkpoint::SnapshotUsage& one : usage.snapshots) {
    snapshots.push_back({{"checkpoint", one.checkpoint},
                         {"kind", checkpoint::snapshot_kind_name(one.kind)},
                         {"own_bytes", one.own_bytes},
                         {"shared_bytes", one.shared_bytes},
                         {"manifest_bytes", one.manifest_bytes},
                         {"missing_files", one.missing}});
  }
  Json orphaned = Json::array();
  for (const checkpoint::StoredBytes& file : usage.orphaned) {
    orphaned.push_back({{"path", file.path}, {"bytes", file.bytes}});
  }
  return {{"path", job.path},
          {"job_id", job.job_id},
          {"pipeline_id", job.pipeline_id},
          {"snapshots", std::move(snapshots)},
          {"shared_files", usage.shared_files},
          {"shared_bytes", usage.shared_bytes},
          {"orphaned_files", std::move(orphaned)},
          {"orphaned_bytes", usage.orphaned_bytes},
          {"bookkeeping_bytes", usage.bookkeeping_bytes},
          {"total_bytes", usage.total_bytes}};
}

std::string bytes_at(const Json& json, const char* member) {
  return human_bytes(json.at(member).get<std::uint64_t>());
}

std::string to_text(const Json& job) {
  std::string text =
      fmt::format("job {} (pipeline {}) in {}\n", job.at("job_id").get<std::string>(),
                  printable(job.at("pipeline_id").get<std::string>()),
                  printable(job.at("path").get<std::string>()));
  Table table;
  table.column("SNAPSHOT").column("KIND").column("OWN", Table::Align::kRight);
  table.column("SHARED", Table::Align::kRight).column("MANIFEST", Table::Align::kRight);
  table.column("NOTE");
  for (const Json& one : job.at("snapshots")) {
    const std::size_t missing = one.at("missing_files").size();
    table.row(
        {"chk-" + std::to_string(one.at("checkpoint").get<std::int64_t>()),
         one.at("kind").get<std::string>(), bytes_at(one, "own_bytes"),
         bytes_at(one, "shared_bytes"), bytes_at(one, "manifest_bytes"),
         missing == 0 ? "" : counted(missing, "file") + " missing; see weir checkpoint verify"});
  }
  if (!table.is_empty()) {
    text += table.to_string(2);
  }
  text += fmt::format("  shared by several  {:>9}  {}\n", bytes_at(job, "shared_bytes"),
                      counted(job.at("shared_files").get<std::uint64_t>(), "file"));
  text += fmt::format("  named by none      {:>9}  {}\n", bytes_at(job, "orphaned_bytes"),
                      counted(job.at("orphaned_files").size(), "file"));
  text += fmt::format("  bookkeeping        {:>9}\n", bytes_at(job, "bookkeeping_bytes"));
  return text + fmt::format("  total              {:>9}\n", bytes_at(job, "total_bytes"));
}

}  // namespace

int measure_storage(const std::string& directory, bool is_json) {
  FileSystem& files = local_file_system();
  const auto listing = checkpoint::list_snapshots(files, directory);
  if (!listing.ok()) {
    return print_error(listing.error());
  }
  Json jobs = Json::array();
  std::uint64_t total_bytes = 0;
  for (const checkpoint::JobDirectory& job : listing.value().jobs) {
    const auto usage = checkpoint::storage_usage_of(files, job);
    if (!usage.ok()) {
      return print_error(usage.error());
    }
    total_bytes += usage.value().total_bytes;
    jobs.push_back(to_json(job, usage.value()));
  }
  Json savepoints = Json::array();
  for (const checkpoint::ListedSnapshot& snapshot : listing.value().savepoints) {
    if (!snapshot.manifest.ok()) {
      return print_error(snapshot.manifest.error());
    }
    const std::uint64_t bytes =
        checkpoint::state_size_bytes(snapshot.manifest.value()) + snapshot.manifest_bytes;
    total_bytes += bytes;
    savepoints.push_back({{"path", snapshot.location.directory}, {"bytes", bytes}});
  }
  const Json json{{"jobs", jobs}, {"savepoints", savepoints}, {"total_bytes", total_bytes}};
  if (is_json) {
    print_json(json);
    return kExitOk;
  }
  std::string text;
  for (const Json& job : jobs) {
    text += (text.empty() ? "" : "\n") + to_text(job);
  }
  for (const Json& savepoint : savepoints) {
    text += fmt::format("savepoint {}  {}\n", printable(savepoint.at("path").get<std::string>()),
                        bytes_at(savepoint, "bytes"));
  }
  print_text(text.empty() ? "no checkpoint or savepoint here\n" : text);
  return kExitOk;
}

}  // namespace weir::cli
