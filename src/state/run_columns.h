#pragma once

#include <string_view>

namespace weir::state {

/// Entries of a run that are all of one size, with their bytes sorted by place: the first byte of
/// every entry, the second of every entry, and so on. Keys and counts mostly differ in few of their
/// bytes; side by side, the others take next to nothing when they are compressed. (Blosc, HDF5 and
/// Parquet know this as byte shuffle or byte stream split.)
///
/// Both take the payload of an entry block and write as many bytes to `to`, headers as they were.

/// False if there is no run that it changes.
bool rows_to_columns(std::string_view payload, char* to);
/// Undoes rows_to_columns(). False if this is not an entry block's payload.
bool columns_to_rows(std::string_view payload, char* to);

}  // namespace weir::state
