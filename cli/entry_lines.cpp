#include "entry_lines.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace weir::cli {
namespace {

Error wrong(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

Status at_line(std::uint64_t line, const Status& status) {
  return status.ok() ? status : Status(status.error().with_context("line " + std::to_string(line)));
}

Status visit_entry(const Json& json, const EntryLines& lines, const EntryVisitor& visit) {
  if (!json.is_object() || !json.contains("key") ||
      (!json.contains("value") && !lines.is_of_keys)) {
    return wrong(lines.is_of_keys ? R"(expected {"key": ...})"
                                  : R"(expected {"key": ..., "value": ...})");
  }
  StateNamespace ns = kNoNamespace;
  for (const auto& [name, part] : json.items()) {
    if (name == "namespace" && part.is_number_integer()) {
      ns = part.get<StateNamespace>();
    } else if (name != "key" && name != "value") {
      return wrong("'" + name + "' is no part of an entry, or not of this type");
    }
  }
  return visit(ns, json.at("key"), lines.is_of_keys ? nullptr : &json.at("value"));
}

Status read_json_lines(std::istream& in, const EntryLines& lines, const EntryVisitor& visit) {
  std::uint64_t number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (!line.empty()) {
      const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
      WEIR_TRY(at_line(number, visit_entry(json, lines, visit)));
    }
  }
  return {};
}

Status read_csv(std::istream& in, const EntryLines& lines, const EntryVisitor& visit) {
  CsvReader reader(in, columns_of_entries(lines.key, lines.value));
  std::vector<std::string> may_be_missing{"namespace"};
  if (lines.is_of_keys) {
    may_be_missing.emplace_back("value");
  }
  WEIR_TRY(at_line(1, reader.read_header(may_be_missing)));
  while (true) {
    auto row = reader.next();
    WEIR_TRY(at_line(reader.line(), row.status()));
    if (!row.value().has_value()) {
      return {};
    }
    WEIR_TRY(at_line(reader.line(), visit_entry(*row.value(), lines, visit)));
  }
}

}  // namespace

CsvColumns columns_of_entries(const Schema& key, const Schema& value) {
  CsvColumns columns;
  columns.add("key", key);
  columns.add("namespace", Schema{Schema::Kind::kSigned, sizeof(StateNamespace), "", {}, {}});
  columns.add("value", value);
  return columns;
}

Status read_entries(std::istream& in, const EntryLines& lines, const EntryVisitor& visit) {
  WEIR_TRY(lines.is_csv ? read_csv(in, lines, visit) : read_json_lines(in, lines, visit));
  return in.bad() ? Status(Error{ErrorCode::kIo, "cannot be read"}) : Status();
}

}  // namespace weir::cli
