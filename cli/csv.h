#pragma once

#include <cstdint>
#include <istream>
#include <optional>
#include <string>
#include <vector>

#include "output.h"
#include "record/schema.h"

namespace weir::cli {

/// A value as cells of a row of comma-separated values (RFC 4180): structs are spread over columns
/// ("value.price"), strings are their text, numbers are numbers; everything else is JSON in one
/// cell, but an absent optional an empty one. Strings that are no text, or that look as if they
/// were none, are {"b64": ...}: so a cell tells the value, by its schema.
class CsvColumns {
 public:
  struct Column {
    std::string title;
    std::vector<std::string> path;  ///< of the part in the JSON of a row
    Schema schema;
  };

  /// Adds the columns of a value.
  void add(const std::string& name, const Schema& schema);
  /// "key,value.count,value.last\r\n"
  std::string header() const;
  /// The cells of one row; `values` by the names given to add().
  std::string row(const Json& values) const;

  const std::vector<Column>& all() const { return columns_; }
  /// Where the JSON of a row has structs without members, which take no columns.
  const std::vector<std::vector<std::string>>& empty_structs() const { return empty_structs_; }

 private:
  void add(std::vector<std::string> path, const Schema& schema);

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> empty_structs_;
};

/// Reads what was written by such columns.
class CsvReader {
 public:
  /// `in` outlives the reader.
  CsvReader(std::istream& in, CsvColumns columns) : in_(in), columns_(std::move(columns)) {}

  /// Takes the first row. Columns may be in any order; those of the values in `may_be_missing`
  /// need not be there, or not all. Errors name the column.
  Status read_header(const std::vector<std::string>& may_be_missing);
  /// The next row as CsvColumns::row() took it; nothing at the end.
  Result<std::optional<Json>> next();
  /// Where the row that was taken last begins.
  std::uint64_t line() const { return line_; }

 private:
  /// False at the end of the input.
  Result<bool> next_row(std::vector<std::string>& cells);
  Result<std::string> quoted_cell();
  bool takes_end_of_line(int c);

  std::istream& in_;
  const CsvColumns columns_;
  std::vector<const CsvColumns::Column*> order_;  ///< of the columns in the input
  std::uint64_t line_ = 0;
  std::uint64_t next_line_ = 1;
};

}  // namespace weir::cli
