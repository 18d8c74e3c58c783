#include "state_commands.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "csv.h"
#include "entry_lines.h"
#include "io/local_file_system.h"
#include "operator_state_commands.h"
#include "output.h"
#include "state_processor/encoded_key.h"
#include "state_processor/keyed_state_reader.h"
#include "state_processor/value_json.h"

namespace weir::cli {
namespace {

using state_processor::KeyedStateReader;
using state_processor::StoredEntry;

/// The state that was asked for, and how its entries are read.
struct OpenState {
  KeyedStateReader reader;
  state::StateSchema state;
  Schema key;
  Schema value;

  KeyGroupRange all_key_groups() const { return {0, reader.max_parallelism() - 1}; }

  Result<Json> to_json(const StoredEntry& entry) const {
    Json json;
    WEIR_ASSIGN(json["key"], state_processor::value_to_json(key, entry.key));
    if (entry.ns != kNoNamespace) {
      json["namespace"] = entry.ns;
    }
    WEIR_ASSIGN(json["value"], state_processor::value_to_json(value, entry.value));
    return json;
  }
};

Result<OpenState> open_state(const StateAddress& address) {
  FileSystem& files = local_file_system();
  WEIR_ASSIGN(const checkpoint::LoadedSnapshot snapshot,
              checkpoint::load_snapshot(files, address.snapshot));
  WEIR_ASSIGN(KeyedStateReader reader, KeyedStateReader::open(files, snapshot, address.uid));
  WEIR_ASSIGN(const state::StateSchema* const found, reader.find(address.state));
  state::StateSchema state = *found;
  WEIR_ASSIGN(Schema key, Schema::parse(state.key_schema));
  WEIR_ASSIGN(Schema value, state_processor::value_schema_of(state));
  return OpenState{std::move(reader), std::move(state), std::move(key), std::move(value)};
}

Result<std::string> encode_key(const Schema& schema, const std::string& text) {
  Json json = text;
  if (schema.kind != Schema::Kind::kString) {
    json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  }
  std::string encoded;
  const Status fits = json.is_discarded()
                          ? Status(Error{ErrorCode::kInvalidArgument, "'" + text + "' is no JSON"})
                          : state_processor::json_to_value(schema, json, encoded);
  if (!fits.ok()) {
    return fits.error().with_context("the key, a " + schema.to_string());
  }
  return encoded;
}

Status print_entries_of(const OpenState& open, const std::string& key, bool& is_found) {
  WEIR_ASSIGN(const std::string encoded, encode_key(open.key, key));
  WEIR_ASSIGN(const std::uint32_t hash, state_processor::hash_encoded_key(open.key, encoded));
  const int group = key_group_of(hash, open.reader.max_parallelism());
  return open.reader.read(open.state, {group, group}, [&](const StoredEntry& entry) -> Status {
    if (entry.key != encoded) {
      return {};
    }
    is_found = true;
    WEIR_ASSIGN(const Json json, open.to_json(entry));
    print_text(json.dump() + "\n");
    return {};
  });
}

/// Ends a visit early; not an error of anybody.
Error enough() { return Error{ErrorCode::kCancelled, "enough"}; }
bool is_enough(const Status& status) {
  return !status.ok() && status.error().code == ErrorCode::kCancelled;
}

/// What is not keyed state may be operator state.
template <class F>
int or_error(const Error& error, const F& of_operator_state) {
  if (error.code == ErrorCode::kNotFound) {
    if (const std::optional<int> status = of_operator_state()) {
      return *status;
    }
  }
  return print_error(error);
}

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, FileCloser>;

Error cannot_write(const std::string& file) {
  return Error{errno == ENOSPC ? ErrorCode::kNoSpace : ErrorCode::kIo,
               "cannot write " + (file.empty() ? "to stdout" : file) + ": " + std::strerror(errno)};
}

Status export_entries(const OpenState& open, const ExportOptions& options, std::FILE* to) {
  CsvColumns columns;
  const bool is_csv = options.format == "csv";
  const auto put = [&](const std::string& line) -> Status {
    return std::fwrite(line.data(), 1, line.size(), to) == line.size()
               ? Status()
               : Status(cannot_write(options.file));
  };
  if (is_csv) {
    columns = columns_of_entries(open.key, open.value);
    WEIR_TRY(put(columns.header()));
  }
  WEIR_TRY(
      open.reader.read(open.state, open.all_key_groups(), [&](const StoredEntry& entry) -> Status {
        WEIR_ASSIGN(Json json, open.to_json(entry));
        if (is_csv) {
          json["namespace"] = entry.ns;
          return put(columns.row(json));
        }
        return put(json.dump() + "\n");
      }));
  return std::fflush(to) == 0 ? Status() : Status(cannot_write(options.file));
}

}  // namespace

int get_state(const StateAddress& address, const std::string& key) {
  const auto open = open_state(address);
  if (!open.ok()) {
    return or_error(open.error(), [&] { return get_operator_state(address, key); });
  }
  bool is_found = false;
  const Status status = print_entries_of(open.value(), key, is_found);
  if (!status.ok()) {
    return print_error(status.error());
  }
  if (!is_found) {
    print_error({ErrorCode::kNotFound, "state " + address.state + " of operator " + address.uid +
                                           " has no entry of the key " + key});
    return kExitFailed;
  }
  return kExitOk;
}

int scan_state(const StateAddress& address, const ScanOptions& options) {
  const auto open = open_state(address);
  if (!open.ok()) {
    return or_error(open.error(), [&] { return scan_operator_state(address, options); });
  }
  Table table;
  table.column("GROUP", Table::Align::kRight).column("NAMESPACE", Table::Align::kRight);
  table.column("KEY").column("VALUE");
  std::uint64_t count = 0;
  const Status status = open.value().reader.read(
      open.value().state, open.value().all_key_groups(), [&](const StoredEntry& entry) -> Status {
        if (count == options.entries_max) {
          return enough();
        }
        ++count;
        WEIR_ASSIGN(const Json json, open.value().to_json(entry));
        if (options.is_json) {
          print_text(json.dump() + "\n");
        } else {
          table.row({std::to_string(entry.key_group), std::to_string(entry.ns),
                     printable(json.at("key").dump()), printable(json.at("value").dump())});
        }
        return {};
      });
  if (!status.ok() && !is_enough(status)) {
    return print_error(status.error());
  }
  if (!options.is_json) {
    print_text(table.to_string());
    print_text("entries: " + std::to_string(count) +
               (is_enough(status) ? "; there are more (--limit)" : "") + "\n");
  }
  return kExitOk;
}

int export_state(const StateAddress& address, const ExportOptions& options) {
  const auto open = open_state(address);
  if (!open.ok()) {
    return or_error(open.error(), [&] { return export_operator_state(address, options); });
  }
  const File file(options.file.empty() ? nullptr : std::fopen(options.file.c_str(), "wbx"));
  if (!options.file.empty() && file == nullptr) {
    return print_error(cannot_write(options.file));
  }
  const Status status =
      export_entries(open.value(), options, file == nullptr ? stdout : file.get());
  if (!status.ok()) {
    if (file != nullptr) {
      std::remove(options.file.c_str());  // half an export must not pass for a whole one
    }
    return print_error(status.error());
  }
  return kExitOk;
}

}  // namespace weir::cli
