#include <algorithm>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <utility>

#include "entry_lines.h"
#include "io/local_file_system.h"
#include "output.h"
#include "state_commands.h"
#include "state_processor/encoded_key.h"
#include "state_processor/keyed_state_reader.h"
#include "state_processor/new_state.h"
#include "state_processor/savepoint_draft.h"
#include "state_processor/scratch_directory.h"
#include "state_processor/state_import.h"
#include "state_processor/value_json.h"

namespace weir::cli {
namespace {

using state_processor::KeyedStateReader;
using state_processor::SavepointDraft;
using state_processor::StateImport;

Error wrong(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

/// What the import starts from.
struct Base {
  SavepointDraft draft;
  std::optional<KeyedStateReader> reader;  ///< of the operator, if it has any keyed state
  int max_parallelism = 0;                 ///< of the operator
};

Result<Base> base_of(const StateAddress& address, const ImportOptions& options) {
  FileSystem& files = local_file_system();
  if (address.snapshot.empty()) {
    return Base{SavepointDraft::create(files, options.max_parallelism), std::nullopt,
                options.max_parallelism};
  }
  WEIR_ASSIGN(checkpoint::LoadedSnapshot snapshot,
              checkpoint::load_snapshot(files, address.snapshot));
  std::optional<KeyedStateReader> reader;
  const auto* const op = checkpoint::find_uid(snapshot.manifest.operators, address.uid);
  if (op != nullptr && std::any_of(op->subtasks.begin(), op->subtasks.end(),
                                   [](const auto& subtask) { return !subtask.files.empty(); })) {
    // Whatever is wrong with it: without what the operator has now the rest would be lost.
    WEIR_ASSIGN(reader, KeyedStateReader::open(files, snapshot, address.uid));
  }
  const int max_parallelism =
      op != nullptr ? op->max_parallelism : snapshot.manifest.max_parallelism;
  WEIR_ASSIGN(SavepointDraft draft, SavepointDraft::from(files, std::move(snapshot)));
  WEIR_TRY(draft.find_operator(address.uid).status());
  return Base{std::move(draft), std::move(reader), max_parallelism};
}

/// Of a state that is not there yet.
Result<state::StateSchema> new_schema(const StateAddress& address, const ImportOptions& options,
                                      const std::optional<KeyedStateReader>& reader) {
  const bool is_timers = state_processor::is_timers_name(address.state);
  const std::string nothing = "operator " + address.uid + " has no state '" + address.state + "'";
  if (options.deletes) {
    return wrong(nothing + " to delete from");
  }
  if (options.key_schema.empty() || (options.value_schema.empty() && !is_timers)) {
    return wrong(nothing + (is_timers ? "; to add it, give --key-schema"
                                      : "; to add it, give --key-schema and --value-schema"));
  }
  WEIR_ASSIGN(state::StateSchema schema,
              state_processor::schema_of_new_state(address.state, options.key_schema,
                                                   options.value_schema));
  if (reader.has_value()) {
    for (const state::StateSchema& other : reader->states()) {
      if (other.key_schema != schema.key_schema) {
        return wrong("operator " + address.uid + " has keys of type " + other.key_schema +
                     ", not " + schema.key_schema);
      }
    }
  }
  return schema;
}

Result<state::StateSchema> schema_of(const StateAddress& address, const ImportOptions& options,
                                     const std::optional<KeyedStateReader>& reader) {
  if (reader.has_value()) {
    const auto found = reader->find(address.state);
    if (found.ok()) {
      return *found.value();
    }
    if (found.error().code != ErrorCode::kNotFound) {
      return found.error();
    }
  }
  return new_schema(address, options, reader);
}

/// Timers as they are stored, ascending and each once; what is no list of times is left as it is,
/// to be refused like any other value.
Result<Json> in_order(const Json& times) {
  if (!times.is_array() || !std::all_of(times.begin(), times.end(), [](const Json& time) {
        return time.is_number_integer();
      })) {
    return times;
  }
  if (times.empty()) {
    return wrong("no time; to take a key's timers away, use --delete");
  }
  Json sorted = times;
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  return sorted;
}

/// Encodes entries and puts them into, or takes them out of, an import.
class Entries {
 public:
  Entries(StateImport& to, const EntryLines& lines) : to_(to), lines_(lines) {}

  Status add(StateNamespace ns, const Json& key_json, const Json* value_json) {
    std::string key;
    WEIR_TRY(encode(lines_.key, key_json, "key", key));
    WEIR_ASSIGN(const std::uint32_t hash, state_processor::hash_encoded_key(lines_.key, key));
    if (value_json == nullptr) {
      to_.erase(ns, hash, std::move(key));
      return {};
    }
    std::string value;
    if (to_.schema().kind == state::StateKind::kTimers) {
      auto times = in_order(*value_json);
      if (!times.ok()) {
        return times.error().with_context("value");
      }
      WEIR_TRY(encode(lines_.value, times.value(), "value", value));
    } else {
      WEIR_TRY(encode(lines_.value, *value_json, "value", value));
    }
    to_.put(ns, hash, std::move(key), std::move(value));
    return {};
  }

 private:
  static Status encode(const Schema& schema, const Json& json, const char* part,
                       std::string& encoded) {
    const Status status = state_processor::json_to_value(schema, json, encoded);
    return status.ok() ? status : Status(status.error().with_context(part));
  }

  StateImport& to_;
  const EntryLines& lines_;
};

Status read_file(const ImportOptions& options, const EntryLines& lines, Entries& entries) {
  const auto add = [&entries](StateNamespace ns, const Json& key, const Json* value) {
    return entries.add(ns, key, value);
  };
  if (options.file == "-") {
    return read_entries(std::cin, lines, add);
  }
  std::ifstream in(options.file, std::ios::binary);
  if (!in) {
    return Error{ErrorCode::kNotFound, options.file + " cannot be opened"};
  }
  const Status status = read_entries(in, lines, add);
  return status.ok() ? status : Status(status.error().with_context(options.file));
}

struct Imported {
  std::string path;
  std::uint64_t entries = 0;
};

Result<Imported> import_into(const StateAddress& address, const ImportOptions& options) {
  FileSystem& files = local_file_system();
  WEIR_ASSIGN(Base base, base_of(address, options));
  WEIR_ASSIGN(const state::StateSchema schema, schema_of(address, options, base.reader));
  EntryLines lines;
  WEIR_ASSIGN(lines.key, Schema::parse(schema.key_schema));
  WEIR_ASSIGN(lines.value, state_processor::value_schema_of(schema));
  lines.is_csv = options.format.empty() ? options.file.ends_with(".csv") : options.format == "csv";
  lines.is_of_keys = options.deletes;
  StateImport import(schema, base.max_parallelism);
  Entries entries(import, lines);
  WEIR_TRY(read_file(options, lines, entries));

  WEIR_TRY(files.create_directories(options.directory));
  WEIR_ASSIGN(const auto scratch, state_processor::ScratchDirectory::create(options.directory));
  const std::string path = join_path(scratch->path(), "state");
  WEIR_ASSIGN(const state::SnapshotFileInfo info,
              import.write(files, path, address.uid,
                           base.reader.has_value() ? &*base.reader : nullptr, options.replaces));
  WEIR_TRY(base.draft.replace_keyed_state(address.uid, path, info));
  WEIR_ASSIGN(std::string written, base.draft.write(options.directory));
  return Imported{std::move(written), import.size()};
}

}  // namespace

int import_state(const StateAddress& address, const ImportOptions& options) {
  const auto imported = import_into(address, options);
  if (!imported.ok()) {
    return print_error(imported.error());
  }
  if (options.is_json) {
    print_json({{"path", imported.value().path}, {"entries", imported.value().entries}});
  } else {
    print_text(imported.value().path + "\n");
  }
  return kExitOk;
}

}  // namespace weir::cli
