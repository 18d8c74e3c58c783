#pragma once

#include <functional>
#include <istream>

#include "csv.h"
#include "output.h"
#include "record/schema.h"
#include "weir/result.h"
#include "weir/state_table.h"

namespace weir::cli {

/// The columns of entries in CSV: "key", "namespace" and "value".
CsvColumns columns_of_entries(const Schema& key, const Schema& value);

/// How entries are written.
struct EntryLines {
  Schema key;
  Schema value;
  bool is_csv = false;      ///< else a line of JSON each
  bool is_of_keys = false;  ///< values are not looked at, and may be missing
};

/// `value` is null where lines are of keys.
using EntryVisitor = std::function<Status(StateNamespace ns, const Json& key, const Json* value)>;

/// Reads what `weir state export` writes. kInvalidArgument naming the line when it is of another
/// form, or with what `visit` says about it.
Status read_entries(std::istream& in, const EntryLines& lines, const EntryVisitor& visit);

}  // namespace weir::cli
