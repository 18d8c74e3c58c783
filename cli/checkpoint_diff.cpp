#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "checkpoint/snapshot_difference.h"
#include "checkpoint/snapshot_directory.h"
#include "checkpoint_commands.h"
#include "connector_forms.h"
#include "io/local_file_system.h"
#include "output.h"
#include "snapshot_json.h"

namespace weir::cli {
namespace {

using checkpoint::Presence;

Json to_json(const std::vector<checkpoint::OperatorDifference>& operators) {
  Json list = Json::array();
  for (const checkpoint::OperatorDifference& op : operators) {
    list.push_back({{"uid", op.uid},
                    {"name", op.name},
                    {"kind", op.kind},
                    {"presence", checkpoint::presence_name(op.presence)},
                    {"parallelism_first", op.parallelism_first},
                    {"parallelism_second", op.parallelism_second},
                    {"bytes_first", op.bytes_first},
                    {"bytes_second", op.bytes_second}});
  }
  return list;
}

Json to_json(const std::vector<checkpoint::SplitDifference>& splits) {
  Json list = Json::array();
  for (const checkpoint::SplitDifference& split : splits) {
    Json json{
        {"source_uid", split.source_uid},
        {"split", split.id},
        {"presence", checkpoint::presence_name(split.presence)},
        {"is_moved", split.presence == Presence::kBoth && split.state_first != split.state_second}};
    json["first"] = split.presence == Presence::kOnlySecond
                        ? Json()
                        : position_of({split.id, split.state_first});
    json["second"] = split.presence == Presence::kOnlyFirst
                         ? Json()
                         : position_of({split.id, split.state_second});
    list.push_back(std::move(json));
  }
  return list;
}

Json to_json(const std::vector<checkpoint::FileReference>& files) {
  Json list = Json::array();
  for (const checkpoint::FileReference& file : files) {
    list.push_back({{"path", file.path}, {"length_bytes", file.length_bytes}});
  }
  return list;
}

Json to_json(const checkpoint::LoadedSnapshot& first, const checkpoint::LoadedSnapshot& second) {
  const checkpoint::SnapshotDifference difference =
      checkpoint::difference_of(first.manifest, second.manifest);
  return {{"first", summary_of(first)},
          {"second", summary_of(second)},
          {"operators", to_json(difference.operators)},
          {"splits", to_json(difference.splits)},
          {"files",
           {{"shared", to_json(difference.files.shared)},
            {"only_first", to_json(difference.files.only_first)},
            {"only_second", to_json(difference.files.only_second)}}}};
}

/// "+1.2 KiB", "-3 B", "0 B".
std::string change_text(std::uint64_t before, std::uint64_t after) {
  return after >= before ? (after == before ? "" : "+") + human_bytes(after - before)
                         : "-" + human_bytes(before - after);
}

std::string operators_text(const Json& operators) {
  Table table;
  table.column("UID").column("KIND").column("CHANGE").column("PARALLELISM");
  table.column("SIZE BEFORE", Table::Align::kRight).column("SIZE AFTER", Table::Align::kRight);
  table.column("DIFFERENCE", Table::Align::kRight);
  for (const Json& op : operators) {
    const auto presence = op.at("presence").get<std::string>();
    const auto before = op.at("parallelism_first").get<int>();
    const auto after = op.at("parallelism_second").get<int>();
    const auto bytes_before = op.at("bytes_first").get<std::uint64_t>();
    const auto bytes_after = op.at("bytes_second").get<std::uint64_t>();
    table.row({printable(op.at("uid").get<std::string>()), op.at("kind").get<std::string>(),
               presence == "both" ? (before == after ? "" : "rescaled") : presence,
               before == after || presence != "both" ? std::to_string(std::max(before, after))
                                                     : fmt::format("{} -> {}", before, after),
               presence == "added" ? "-" : human_bytes(bytes_before),
               presence == "removed" ? "-" : human_bytes(bytes_after),
               change_text(bytes_before, bytes_after)});
  }
  return table.to_string(2);
}

std::string splits_text(const Json& splits) {
  Table table;
  table.column("SOURCE").column("SPLIT").column("BEFORE").column("AFTER");
  std::uint64_t unmoved = 0;
  for (const Json& split : splits) {
    if (split.at("presence") == "both" && !split.at("is_moved").get<bool>()) {
      ++unmoved;
      continue;
    }
    const Json& first = split.at("first");
    const Json& second = split.at("second");
    table.row({printable(split.at("source_uid").get<std::string>()),
               printable(split.at("split").get<std::string>()),
               first.is_null() ? "-" : printable(position_text(first)),
               second.is_null() ? "finished or with no reader" : printable(position_text(second))});
  }
  std::string text = table.is_empty() ? "" : table.to_string(2);
  if (unmoved > 0 || text.empty()) {
    text += "  not moved: " + counted(unmoved, "split") + "\n";
  }
  return text;
}

std::string files_text(const Json& files, std::string_view title) {
  std::uint64_t bytes = 0;
  for (const Json& file : files) {
    bytes += file.at("length_bytes").get<std::uint64_t>();
  }
  return fmt::format("  {:<15} {}, {}\n", title, counted(files.size(), "file"), human_bytes(bytes));
}

std::string to_text(const Json& json) {
  const Json& first = json.at("first");
  const Json& second = json.at("second");
  std::string text =
      fmt::format("from {} ({})\nto   {} ({})\n", title_of(first),
                  human_time(first.at("completed_ms").get<std::int64_t>()), title_of(second),
                  human_time(second.at("completed_ms").get<std::int64_t>()));
  if (first.at("job_id") != second.at("job_id")) {
    text += "they are of different jobs\n";
  }
  text += "\noperators\n" + operators_text(json.at("operators"));
  text += "\npositions\n" + splits_text(json.at("splits"));
  const Json& files = json.at("files");
  text += "\nfiles\n" + files_text(files.at("shared"), "in both") +
          files_text(files.at("only_first"), "only in the 1st") +
          files_text(files.at("only_second"), "only in the 2nd");
  return text;
}

}  // namespace

int diff_snapshots(const std::string& first, const std::string& second, bool is_json) {
  const auto before = checkpoint::load_snapshot(local_file_system(), first);
  if (!before.ok()) {
    return print_error(before.error());
  }
  const auto after = checkpoint::load_snapshot(local_file_system(), second);
  if (!after.ok()) {
    return print_error(after.error());
  }
  const Json json = to_json(before.value(), after.value());
  if (is_json) {
    print_json(json);
  } else {
    print_text(to_text(json));
  }
  return kExitOk;
}

}  // namespace weir::cli
