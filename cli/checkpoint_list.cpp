#include <string>
#include <utility>

#include <fmt/format.h>

#include "checkpoint/snapshot_directory.h"
#include "checkpoint_commands.h"
#include "io/local_file_system.h"
#include "output.h"
#include "snapshot_json.h"

namespace weir::cli {
namespace {

Json to_json(const std::vector<checkpoint::ListedSnapshot>& snapshots) {
  Json list = Json::array();
  for (const checkpoint::ListedSnapshot& snapshot : snapshots) {
    list.push_back(summary_of(snapshot));
  }
  return list;
}

Json to_json(const checkpoint::SnapshotListing& listing) {
  Json jobs = Json::array();
  for (const checkpoint::JobDirectory& job : listing.jobs) {
    jobs.push_back({{"path", job.path},
                    {"job_id", job.job_id},
                    {"pipeline_id", job.pipeline_id},
                    {"snapshots", to_json(job.snapshots)},
                    {"unpublished", job.unpublished}});
  }
  return {{"jobs", std::move(jobs)}, {"savepoints", to_json(listing.savepoints)}};
}

std::string last_part(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

std::string to_table(const Json& snapshots) {
  Table table;
  table.column("SNAPSHOT").column("KIND").column("ATTEMPT", Table::Align::kRight);
  table.column("COMPLETED").column("TOOK", Table::Align::kRight);
  table.column("FILES", Table::Align::kRight).column("SIZE", Table::Align::kRight).column("NOTE");
  for (const Json& one : snapshots) {
    const std::string name = printable(last_part(one.at("path").get<std::string>()));
    if (one.contains("error")) {
      table.row(
          {name, "unreadable", "", "", "", "", "", printable(one.at("error").get<std::string>())});
      continue;
    }
    const auto completed_ms = one.at("completed_ms").get<std::int64_t>();
    table.row({name, one.at("kind").get<std::string>(),
               std::to_string(one.at("attempt").get<std::int64_t>()), human_time(completed_ms),
               human_duration(completed_ms - one.at("triggered_ms").get<std::int64_t>()),
               std::to_string(one.at("files").get<std::uint64_t>()),
               human_bytes(one.at("size_bytes").get<std::uint64_t>()),
               one.at("is_terminal").get<bool>() ? "the job ended or was stopped here" : ""});
  }
  return table.to_string();
}

std::string to_text(const Json& listing) {
  std::string text;
  for (const Json& job : listing.at("jobs")) {
    text += fmt::format("{}job {} (pipeline {}) in {}\n", text.empty() ? "" : "\n",
                        job.at("job_id").get<std::string>(),
                        printable(job.at("pipeline_id").get<std::string>()),
                        printable(job.at("path").get<std::string>()));
    text += job.at("snapshots").empty() ? "no checkpoint was completed\n"
                                        : to_table(job.at("snapshots"));
    if (!job.at("unpublished").empty()) {
      std::string numbers;
      for (const Json& number : job.at("unpublished")) {
        numbers +=
            (numbers.empty() ? "chk-" : ", chk-") + std::to_string(number.get<std::int64_t>());
      }
      text += "without a manifest (under way, failed, or subsumed): " + numbers + "\n";
    }
  }
  if (!listing.at("savepoints").empty()) {
    text += (text.empty() ? "" : "\n") + to_table(listing.at("savepoints"));
  }
  return text.empty() ? "no checkpoint or savepoint here\n" : text;
}

}  // namespace

int list_checkpoints(const std::string& directory, bool is_json) {
  const auto listing = checkpoint::list_snapshots(local_file_system(), directory);
  if (!listing.ok()) {
    return print_error(listing.error());
  }
  const Json json = to_json(listing.value());
  if (is_json) {
    print_json(json);
  } else {
    print_text(to_text(json));
  }
  return kExitOk;
}

}  // namespace weir::cli
