#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <utility>

#include "io/local_file_system.h"
#include "output.h"
#include "state_commands.h"
#include "state_processor/encoded_key.h"
#include "state_processor/keyed_state_reader.h"
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

/// The bytes of every value of such a type, or 0 if they differ: StateSchema::key_size. What is not
/// known to be a memory image has a length in front.
Result<state::StateSchema> new_schema(const StateAddress& address, const ImportOptions& options) {
  if (options.key_schema.empty() || options.value_schema.empty()) {
    return wrong("operator " + address.uid + " has no state '" + address.state +
                 "'; to add it, give --key-schema and --value-schema");
  }
  state::StateSchema schema;
  schema.name = address.state;
  WEIR_ASSIGN(const Schema key, Schema::parse(options.key_schema));
  WEIR_ASSIGN(const Schema value, Schema::parse(options.value_schema));
  schema.key_schema = key.to_string();
  schema.value_schema = value.to_string();
  return schema;
}

/// Entries of a file of JSON lines.
class Lines {
 public:
  Lines(StateImport& to, Schema key, Schema value)
      : to_(to), key_(std::move(key)), value_(std::move(value)) {}

  Status read(std::istream& in) {
    std::uint64_t number = 0;
    for (std::string line; std::getline(in, line);) {
      ++number;
      if (line.empty()) {
        continue;
      }
      const Status added = add(line);
      if (!added.ok()) {
        return added.error().with_context("line " + std::to_string(number));
      }
    }
    return in.bad() ? Status(Error{ErrorCode::kIo, "cannot be read"}) : Status();
  }

 private:
  Status add(const std::string& line) {
    const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object() || !json.contains("key") || !json.contains("value")) {
      return wrong(R"(expected {"key": ..., "value": ...})");
    }
    StateNamespace ns = kNoNamespace;
    for (const auto& [name, part] : json.items()) {
      if (name == "namespace" && part.is_number_integer()) {
        ns = part.get<StateNamespace>();
      } else if (name != "key" && name != "value") {
        return wrong("'" + name + "' is no part of an entry, or not of this type");
      }
    }
    std::string key;
    std::string value;
    Status status = state_processor::json_to_value(key_, json.at("key"), key);
    if (!status.ok()) {
      return status.error().with_context("key");
    }
    status = state_processor::json_to_value(value_, json.at("value"), value);
    if (!status.ok()) {
      return status.error().with_context("value");
    }
    WEIR_ASSIGN(const std::uint32_t hash, state_processor::hash_encoded_key(key_, key));
    to_.put(ns, hash, std::move(key), std::move(value));
    return {};
  }

  StateImport& to_;
  const Schema key_;
  const Schema value_;
};

Status read_lines(const std::string& file, Lines& lines) {
  if (file == "-") {
    return lines.read(std::cin);
  }
  std::ifstream in(file, std::ios::binary);
  if (!in) {
    return Error{ErrorCode::kNotFound, file + " cannot be opened"};
  }
  const Status status = lines.read(in);
  return status.ok() ? status : Status(status.error().with_context(file));
}

struct Imported {
  std::string path;
  std::uint64_t entries = 0;
};

Result<Imported> import_into(const StateAddress& address, const ImportOptions& options) {
  FileSystem& files = local_file_system();
  WEIR_ASSIGN(checkpoint::LoadedSnapshot snapshot,
              checkpoint::load_snapshot(files, address.snapshot));
  std::optional<KeyedStateReader> reader;
  auto opened = KeyedStateReader::open(files, snapshot, address.uid);
  if (opened.ok()) {
    reader.emplace(std::move(opened).value());
  } else if (opened.error().code != ErrorCode::kNotFound) {
    return opened.error();
  }
  WEIR_ASSIGN(SavepointDraft draft, SavepointDraft::from(files, std::move(snapshot)));
  WEIR_TRY(draft.find_operator(address.uid).status());

  state::StateSchema schema;
  const auto found =
      reader.has_value() ? reader->find(address.state) : Result<const state::StateSchema*>(nullptr);
  if (found.ok() && found.value() != nullptr) {
    schema = *found.value();
  } else {
    WEIR_ASSIGN(schema, new_schema(address, options));
  }
  const int max_parallelism =
      reader.has_value() ? reader->max_parallelism() : draft.manifest().max_parallelism;
  StateImport import(schema, max_parallelism);
  WEIR_ASSIGN(const Schema key, Schema::parse(schema.key_schema));
  WEIR_ASSIGN(const Schema value, state_processor::value_schema_of(schema));
  Lines lines(import, key, value);
  WEIR_TRY(read_lines(options.file, lines));

  WEIR_TRY(files.create_directories(options.directory));
  WEIR_ASSIGN(const auto scratch, state_processor::ScratchDirectory::create(options.directory));
  const std::string path = join_path(scratch->path(), "state");
  WEIR_ASSIGN(const state::SnapshotFileInfo info,
              import.write(files, path, address.uid, reader.has_value() ? &*reader : nullptr,
                           options.replaces));
  WEIR_TRY(draft.replace_keyed_state(address.uid, path, info));
  WEIR_ASSIGN(std::string written, draft.write(options.directory));
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
