#include <algorithm>
#include <utility>

#include "csv.h"

namespace weir::cli {
namespace {

using Kind = Schema::Kind;

constexpr int kEnd = std::istream::traits_type::eof();

Error wrong(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

bool is_one_of(const std::string& word, const std::vector<std::string>& words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

/// What CsvColumns made the cell of. Whether it fits the schema is seen when it is encoded.
Result<Json> value_of(const Schema& schema, const std::string& cell) {
  if (schema.kind == Kind::kOptional && cell.empty()) {
    return Json();
  }
  const bool is_text =
      (schema.kind == Kind::kString && !cell.starts_with(R"({"b64":)")) ||
      (schema.kind == Kind::kFloat && is_one_of(cell, {"NaN", "Infinity", "-Infinity"}));
  if (is_text) {
    return Json(cell);
  }
  Json json = Json::parse(cell, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) {
    return wrong("'" + cell + "' is no " + schema.to_string());
  }
  return json;
}

Json& part_of(Json& json, const std::vector<std::string>& path) {
  Json* part = &json;
  for (const std::string& step : path) {
    part = &(*part)[step];
  }
  return *part;
}

}  // namespace

Status CsvReader::read_header(const std::vector<std::string>& may_be_missing) {
  std::vector<std::string> titles;
  WEIR_TRY(next_row(titles).status());
  if (constexpr std::string_view mark = "\xEF\xBB\xBF";  // spreadsheets put it in front of UTF-8
      !titles.empty() && titles.front().starts_with(mark)) {
    titles.front().erase(0, mark.size());
  }
  for (const std::string& title : titles) {
    const auto found =
        std::find_if(columns_.all().begin(), columns_.all().end(),
                     [&](const CsvColumns::Column& column) { return column.title == title; });
    if (found == columns_.all().end()) {
      std::string header = columns_.header();
      header.resize(header.size() - 2);
      return wrong("there is no column '" + title + "'; the columns are " + header);
    }
    if (std::find(order_.begin(), order_.end(), &*found) != order_.end()) {
      return wrong("the column '" + title + "' is there twice");
    }
    order_.push_back(&*found);
  }
  for (const CsvColumns::Column& column : columns_.all()) {
    if (!is_one_of(column.path.front(), may_be_missing) && !is_one_of(column.title, titles)) {
      return wrong("the column '" + column.title + "' is missing");
    }
  }
  return {};
}

Result<std::optional<Json>> CsvReader::next() {
  std::vector<std::string> cells;
  WEIR_ASSIGN(const bool is_there, next_row(cells));
  if (!is_there) {
    return std::optional<Json>();
  }
  if (cells.size() != order_.size()) {
    return wrong("has " + counted(cells.size(), "cell") + ", the header " +
                 counted(order_.size(), "column"));
  }
  Json json = Json::object();
  for (const std::vector<std::string>& path : columns_.empty_structs()) {
    part_of(json, path) = Json::object();
  }
  for (std::size_t i = 0; i < cells.size(); ++i) {
    auto value = value_of(order_[i]->schema, cells[i]);
    if (!value.ok()) {
      return value.error().with_context(order_[i]->title);
    }
    part_of(json, order_[i]->path) = std::move(value).value();
  }
  return std::optional<Json>(std::move(json));
}

bool CsvReader::takes_end_of_line(int c) {
  if (c == '\r' && in_.peek() == '\n') {
    c = in_.get();
  }
  next_line_ += c == '\n' ? 1 : 0;
  return c == '\n';
}

Result<std::string> CsvReader::quoted_cell() {
  std::string cell;
  for (int c = in_.get(); c != kEnd; c = in_.get()) {
    if (c == '"') {
      if (in_.peek() != '"') {
        return cell;
      }
      in_.get();
    }
    next_line_ += c == '\n' ? 1 : 0;
    cell += static_cast<char>(c);
  }
  return wrong("a cell in quotes has no end");
}

Result<bool> CsvReader::next_row(std::vector<std::string>& cells) {
  // Empty lines are skipped.
  for (line_ = next_line_; in_.peek() == '\r' || in_.peek() == '\n'; line_ = next_line_) {
    if (!takes_end_of_line(in_.get())) {
      return wrong("a line ends with a carriage return alone");
    }
  }
  if (in_.peek() == kEnd) {
    return false;
  }
  while (true) {
    std::string& cell = cells.emplace_back();
    int c = in_.get();
    const bool is_quoted = c == '"';
    if (is_quoted) {
      WEIR_ASSIGN(cell, quoted_cell());
      c = in_.get();
    }
    while (c != kEnd && c != ',' && !takes_end_of_line(c)) {
      if (is_quoted) {
        return wrong("something stands behind the closing quote of a cell");
      }
      cell += static_cast<char>(c);
      c = in_.get();
    }
    if (c != ',') {
      return true;
    }
  }
}

}  // namespace weir::cli
