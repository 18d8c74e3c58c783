#include "describe_text.h"

#include <algorithm>

#include <fmt/format.h>

#include "connector_forms.h"
#include "snapshot_json.h"

namespace weir::cli {
namespace {

using Align = Table::Align;

std::string text_at(const Json& json, const char* member) {
  return printable(json.at(member).get<std::string>());
}
std::string number_at(const Json& json, const char* member) {
  return std::to_string(json.at(member).get<std::int64_t>());
}
std::string bytes_at(const Json& json, const char* member) {
  return human_bytes(json.at(member).get<std::uint64_t>());
}

std::string head_text(const Json& snapshot) {
  const auto triggered_ms = snapshot.at("triggered_ms").get<std::int64_t>();
  const auto completed_ms = snapshot.at("completed_ms").get<std::int64_t>();
  const auto parent = snapshot.at("parent_checkpoint").get<std::int64_t>();
  std::string text =
      fmt::format("{} of job {}\n", title_of(snapshot), text_at(snapshot, "job_name"));
  const auto line = [&text](std::string_view label, const std::string& value) {
    text += fmt::format("  {:<10} {}\n", label, value);
  };
  line("path", text_at(snapshot, "path"));
  line("job id", text_at(snapshot, "job_id"));
  line("pipeline", text_at(snapshot, "pipeline_id"));
  line("attempt", number_at(snapshot, "attempt") +
                      (snapshot.at("incarnation").get<std::int64_t>() == 0
                           ? ""
                           : ", incarnation " + number_at(snapshot, "incarnation")));
  line("parent", parent == 0 ? "none" : "checkpoint " + std::to_string(parent));
  line("completed",
       human_time(completed_ms) + ", took " + human_duration(completed_ms - triggered_ms));
  line("size", bytes_at(snapshot, "size_bytes") + " in " +
                   counted(snapshot.at("files").get<std::uint64_t>(), "file"));
  if (snapshot.at("is_terminal").get<bool>()) {
    line("note", "the job ended or was stopped with it");
  }
  return text;
}

/// The lowest and highest of a member over the subtasks.
std::string watermark_of(const Json& op) {
  std::int64_t lowest = kMaxTimestamp;
  std::int64_t highest = kMinTimestamp;
  for (const Json& subtask : op.at("subtasks")) {
    lowest = std::min(lowest, subtask.at("watermark_min").get<std::int64_t>());
    highest = std::max(highest, subtask.at("watermark_max").get<std::int64_t>());
  }
  if (op.at("subtasks").empty()) {
    return "-";
  }
  return lowest == highest ? human_watermark(lowest)
                           : human_watermark(lowest) + " to " + human_watermark(highest);
}

std::uint64_t entries_of(const Json& op) {
  std::uint64_t entries = 0;
  for (const Json& subtask : op.at("subtasks")) {
    entries += subtask.at("entries").get<std::uint64_t>();
  }
  return entries;
}

std::string operators_text(const Json& operators) {
  Table table;
  table.column("UID").column("NAME").column("PARALLELISM", Align::kRight);
  table.column("MAX", Align::kRight).column("SIZE", Align::kRight);
  table.column("ENTRIES", Align::kRight).column("WATERMARK");
  for (const Json& op : operators) {
    table.row({text_at(op, "uid"), text_at(op, "name"), number_at(op, "parallelism"),
               number_at(op, "max_parallelism"), bytes_at(op, "size_bytes"),
               std::to_string(entries_of(op)), watermark_of(op)});
  }
  return table.is_empty() ? "" : "\noperators\n" + table.to_string(2);
}

std::string states_text(const Json& operators) {
  Table table;
  table.column("OPERATOR").column("STATE").column("KIND").column("KEY").column("VALUE");
  table.column("ENTRIES", Align::kRight);
  for (const Json& op : operators) {
    for (const Json& state : op.at("states")) {
      table.row({text_at(op, "uid"), text_at(state, "name"), text_at(state, "kind"),
                 text_at(state, "key_schema"), text_at(state, "value_schema"),
                 number_at(state, "entries")});
    }
    for (const Json& list : op.at("lists")) {
      const std::string dealt = text_at(list, "redistribution");
      const auto shown = [&](const char* schema) {
        return list.at(schema) == "" ? "-" : text_at(list, schema);
      };
      table.row({text_at(op, "uid"), text_at(list, "name"),
                 dealt == "split"   ? "list"
                 : dealt == "union" ? "union list"
                                    : dealt,
                 shown("key_schema"), shown("value_schema"), number_at(list, "items")});
    }
  }
  return table.is_empty() ? "" : "\nstates\n" + table.to_string(2);
}

std::string files_text(const Json& operators) {
  Table table;
  table.column("OPERATOR").column("SUBTASK", Align::kRight).column("KEY GROUPS");
  table.column("SIZE", Align::kRight).column("KIND").column("FILE");
  for (const Json& op : operators) {
    for (const Json& subtask : op.at("subtasks")) {
      for (const Json& file : subtask.at("files")) {
        table.row({text_at(op, "uid"), number_at(subtask, "subtask"),
                   number_at(file, "first_key_group") + " to " + number_at(file, "last_key_group"),
                   bytes_at(file, "length_bytes"), text_at(file, "kind"), text_at(file, "path")});
      }
    }
  }
  return table.is_empty() ? "" : "\nstate files\n" + table.to_string(2);
}

std::string key_groups_text(const Json& operators) {
  Table table;
  table.column("OPERATOR").column("KEY GROUP", Align::kRight).column("ENTRIES", Align::kRight);
  table.column("SIZE", Align::kRight);
  for (const Json& op : operators) {
    for (const Json& group : op.value("key_groups", Json::array())) {
      table.row({text_at(op, "uid"), number_at(group, "key_group"), number_at(group, "entries"),
                 bytes_at(group, "bytes")});
    }
  }
  return table.is_empty() ? "" : "\nkey groups with entries\n" + table.to_string(2);
}

std::string sources_text(const Json& sources) {
  Table table;
  table.column("SOURCE").column("READER", Align::kRight).column("SPLIT").column("READS NEXT");
  for (const Json& source : sources) {
    for (const Json& split : source.at("splits")) {
      table.row({text_at(source, "uid"), number_at(split, "reader"), text_at(split, "split"),
                 printable(position_text(split.at("position")))});
    }
    if (source.at("splits").empty()) {
      table.row({text_at(source, "uid"), "-", "-", "no split is being read"});
    }
  }
  return table.is_empty() ? "" : "\npositions\n" + table.to_string(2);
}

std::string sinks_text(const Json& sinks) {
  Table table;
  table.column("SINK").column("SUBTASK", Align::kRight).column("CHECKPOINT", Align::kRight);
  table.column("ATTEMPT", Align::kRight).column("FILES", Align::kRight).column("PREPARED");
  for (const Json& sink : sinks) {
    for (const Json& one : sink.at("committables")) {
      table.row({text_at(sink, "uid"), number_at(one, "subtask"), number_at(one, "checkpoint"),
                 number_at(one, "attempt"), std::to_string(one.at("files").size()),
                 printable(payload_text(one.at("payload")))});
    }
    if (sink.at("committables").empty()) {
      table.row({text_at(sink, "uid"), "-", "-", "-", "-", "nothing to commit"});
    }
  }
  return table.is_empty() ? "" : "\ncommittables\n" + table.to_string(2);
}

std::string edges_text(const Json& edges) {
  Table table;
  table.column("EDGE").column("RECORDS OF THE ATTEMPT", Align::kRight);
  for (const Json& edge : edges) {
    table.row({text_at(edge, "name"), number_at(edge, "records")});
  }
  return table.is_empty() ? "" : "\nedges\n" + table.to_string(2);
}

std::string in_flight_text(const Json& in_flight) {
  Table table;
  table.column("EDGE").column("TO SUBTASK", Align::kRight).column("CHANNELS", Align::kRight);
  table.column("RECORDS", Align::kRight).column("FILE");
  for (const Json& one : in_flight) {
    table.row({text_at(one, "edge"), number_at(one, "subtask"), number_at(one, "channels"),
               number_at(one, "records"), one.at("file").is_null() ? "-" : text_at(one, "file")});
  }
  return table.is_empty() ? "" : "\nin flight, overtaken by the barrier\n" + table.to_string(2);
}

}  // namespace

std::string describe_text(const Json& snapshot) {
  const Json& operators = snapshot.at("operators");
  return head_text(snapshot) + operators_text(operators) + states_text(operators) +
         files_text(operators) + key_groups_text(operators) + sources_text(snapshot.at("sources")) +
         sinks_text(snapshot.at("sinks")) + edges_text(snapshot.at("edges")) +
         in_flight_text(snapshot.at("in_flight"));
}

}  // namespace weir::cli
