#pragma once

#include <string>
#include <vector>

#include "output.h"
#include "record/schema.h"

namespace weir::cli {

/// A value as cells of a row of comma-separated values (RFC 4180): structs are spread over columns
/// ("value.price"), lists, maps and whatever may be absent inside them stay JSON in one cell, an
/// absent value is an empty cell.
class CsvColumns {
 public:
  /// Adds the columns of a value.
  void add(const std::string& name, const Schema& schema);
  /// "key,value.count,value.last\r\n"
  std::string header() const;
  /// The cells of one row; `values` by the names given to add().
  std::string row(const Json& values) const;

 private:
  struct Column {
    std::string title;
    std::vector<std::string> path;
  };
  void add(std::vector<std::string> path, const Schema& schema);

  std::vector<Column> columns_;
};

}  // namespace weir::cli
