#include "csv.h"

#include <utility>

#include "checkpoint/base64.h"

namespace weir::cli {
namespace {

std::string quoted(const std::string& cell) {
  if (cell.find_first_of(",\"\r\n") == std::string::npos) {
    return cell;
  }
  std::string text = "\"";
  for (const char c : cell) {
    text += c == '"' ? "\"\"" : std::string(1, c);
  }
  return text + '"';
}

std::string cell_of(const Schema& schema, const Json& value) {
  if (schema.kind == Schema::Kind::kOptional) {
    return value.is_null() ? "" : value.dump();
  }
  if (!value.is_string()) {
    return value.dump();
  }
  std::string text = value.get<std::string>();
  // What is no text is written so, and must not be taken for it when the cell is read.
  return text.starts_with(R"({"b64":)") ? Json{{"b64", checkpoint::base64_encode(text)}}.dump()
                                        : text;
}

template <class Columns, class Cell>
std::string line_of(const Columns& columns, const Cell& cell) {
  std::string line;
  for (const auto& column : columns) {
    line += (line.empty() && &column == &columns.front() ? "" : ",") + quoted(cell(column));
  }
  return line + "\r\n";
}

}  // namespace

void CsvColumns::add(const std::string& name, const Schema& schema) {
  add(std::vector<std::string>{name}, schema);
}

void CsvColumns::add(std::vector<std::string> path, const Schema& schema) {
  const auto add_part = [&](const std::string& name, const Schema& part) {
    std::vector<std::string> longer = path;
    longer.push_back(name);
    add(std::move(longer), part);
  };
  if (schema.kind == Schema::Kind::kStruct) {
    if (schema.parts.empty()) {
      empty_structs_.push_back(std::move(path));
      return;
    }
    for (std::size_t i = 0; i < schema.parts.size(); ++i) {
      add_part(schema.names[i], schema.parts[i]);
    }
    return;
  }
  if (schema.kind == Schema::Kind::kExpiring) {
    add_part("value", schema.parts[0]);
    add_part("last_access_ms", Schema{Schema::Kind::kSigned, sizeof(std::int64_t), "", {}, {}});
    return;
  }
  std::string title;
  for (const std::string& step : path) {
    title += (title.empty() ? "" : ".") + step;
  }
  columns_.push_back({std::move(title), std::move(path), schema});
}

std::string CsvColumns::header() const {
  return line_of(columns_, [](const Column& column) { return column.title; });
}

std::string CsvColumns::row(const Json& values) const {
  return line_of(columns_, [&](const Column& column) {
    const Json* value = &values;
    for (const std::string& step : column.path) {
      value = &value->at(step);
    }
    return cell_of(column.schema, *value);
  });
}

}  // namespace weir::cli
