#include "operator_state_commands.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>
#include <vector>

#include "checkpoint/snapshot_directory.h"
#include "csv.h"
#include "io/local_file_system.h"
#include "output.h"
#include "state_processor/operator_state_reader.h"
#include "state_processor/value_json.h"

namespace weir::cli {
namespace {

using state_processor::StoredOperatorState;

/// The items as JSON: {"key": ..., "value": ...} of broadcast state, else {"subtask": ...,
/// "value": ...}.
struct Items {
  StoredOperatorState state;
  std::vector<Json> rows;
  const char* first_column() const { return state.key.has_value() ? "key" : "subtask"; }
};

Result<std::optional<Items>> read_items(const StateAddress& address) {
  WEIR_ASSIGN(const checkpoint::LoadedSnapshot snapshot,
              checkpoint::load_snapshot(local_file_system(), address.snapshot));
  WEIR_ASSIGN(auto found,
              state_processor::find_operator_state(snapshot.manifest, address.uid, address.state));
  if (!found.has_value()) {
    return std::optional<Items>();
  }
  Items items{*std::move(found), {}};
  for (const StoredOperatorState::Item& item : items.state.items) {
    Json row;
    if (items.state.key.has_value()) {
      WEIR_ASSIGN(row["key"], state_processor::value_to_json(*items.state.key, item.key));
    } else {
      row["subtask"] = item.subtask;
    }
    WEIR_ASSIGN(row["value"], state_processor::value_to_json(items.state.value, item.value));
    items.rows.push_back(std::move(row));
  }
  return std::optional<Items>(std::move(items));
}

/// Calls print(items) where there are any.
template <class F>
std::optional<int> with_items(const StateAddress& address, const F& print) {
  const auto items = read_items(address);
  if (!items.ok()) {
    return print_error(items.error());
  }
  if (!items.value().has_value()) {
    return std::nullopt;
  }
  return print(*items.value());
}

std::string csv_of(const Items& items) {
  CsvColumns columns;
  columns.add(items.first_column(), items.state.key.value_or(Schema()));
  columns.add("value", items.state.value);
  std::string text = columns.header();
  for (const Json& row : items.rows) {
    text += columns.row(row);
  }
  return text;
}

std::string lines_of(const Items& items) {
  std::string text;
  for (const Json& row : items.rows) {
    text += row.dump() + "\n";
  }
  return text;
}

Status write_new_file(const std::string& path, const std::string& text) {
  std::FILE* const file = std::fopen(path.c_str(), "wbx");
  bool is_written = file != nullptr;
  if (file != nullptr) {
    is_written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
    is_written = std::fclose(file) == 0 && is_written;
  }
  const std::string reason = std::strerror(errno);
  if (is_written) {
    return {};
  }
  if (file != nullptr) {
    std::remove(path.c_str());  // half an export must not pass for a whole one
  }
  return Error{ErrorCode::kIo, "cannot write " + path + ": " + reason};
}

}  // namespace

std::optional<int> get_operator_state(const StateAddress& address, const std::string& key) {
  return with_items(address, [&](const Items& items) {
    if (!items.state.key.has_value()) {
      return print_error({ErrorCode::kInvalidArgument,
                          "state " + address.state + " of operator " + address.uid + " is a " +
                              items.state.kind + ", which has no keys: use scan or export"});
    }
    const bool is_text = items.state.key->kind == Schema::Kind::kString;
    const Json wanted = is_text ? Json(key) : Json::parse(key, nullptr, false);
    for (const Json& row : items.rows) {
      if (row.at("key") == wanted) {
        print_text(row.dump() + "\n");
        return kExitOk;
      }
    }
    print_error({ErrorCode::kNotFound, "state " + address.state + " of operator " + address.uid +
                                           " has no entry of the key " + key});
    return kExitFailed;
  });
}

std::optional<int> scan_operator_state(const StateAddress& address, const ScanOptions& options) {
  return with_items(address, [&](Items items) {
    const bool are_more = items.rows.size() > options.entries_max;
    if (are_more) {
      items.rows.resize(options.entries_max);
    }
    if (options.is_json) {
      print_text(lines_of(items));
      return kExitOk;
    }
    Table table;
    table.column(items.state.key.has_value() ? "KEY" : "SUBTASK").column("VALUE");
    for (const Json& row : items.rows) {
      table.row(
          {printable(row.at(items.first_column()).dump()), printable(row.at("value").dump())});
    }
    print_text(table.to_string());
    print_text("entries: " + std::to_string(items.rows.size()) +
               (are_more ? "; there are more (--limit)" : "") + "\n");
    return kExitOk;
  });
}

std::optional<int> export_operator_state(const StateAddress& address,
                                         const ExportOptions& options) {
  return with_items(address, [&](const Items& items) {
    const std::string text = options.format == "csv" ? csv_of(items) : lines_of(items);
    if (options.file.empty()) {
      print_text(text);
      return kExitOk;
    }
    const Status written = write_new_file(options.file, text);
    return written.ok() ? kExitOk : print_error(written.error());
  });
}

}  // namespace weir::cli
