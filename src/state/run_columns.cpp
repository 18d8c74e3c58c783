#include "state/run_columns.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "state/state_file.h"

namespace weir::state {
namespace {

/// Rows that are turned at a time, so that they and what is made of them stay in the first-level
/// cache.
constexpr std::size_t kRowsAtOnce = 128;

/// Calls copy(place of a byte among rows, its place among columns) for every byte of so many rows.
template <class Copy>
void turn(std::size_t rows, std::size_t columns, const Copy& copy) {
  for (std::size_t begin = 0; begin < rows; begin += kRowsAtOnce) {
    const std::size_t end = std::min(begin + kRowsAtOnce, rows);
    for (std::size_t column = 0; column < columns; ++column) {
      for (std::size_t row = begin; row < end; ++row) {
        copy(row * columns + column, column * rows + row);
      }
    }
  }
}

/// Entries of one size or not: which, is seen from the header alone, so that no schema is needed.
/// Where sizes differ and their sum is such a multiple by chance, the bytes are turned all the
/// same.
bool is_turned(const RunHeader& run) { return run.count > 1 && run.bytes % run.count == 0; }

/// Calls turn(entries, count, size of one, to) for the runs that are turned and copies the rest.
/// False if the payload is malformed.
template <class Turn>
bool for_each_run(std::string_view payload, char* to, const Turn& turn) {
  if (payload.size() < sizeof(EntryBlockHeader) ||
      static_cast<std::uint8_t>(payload.front()) != kEntryBlock) {
    return false;
  }
  std::memcpy(to, payload.data(), sizeof(EntryBlockHeader));
  const char* const begin = payload.data();
  std::string_view left = payload.substr(sizeof(EntryBlockHeader));
  while (!left.empty()) {
    const std::size_t at = static_cast<std::size_t>(left.data() - begin);
    EncodedRun run;
    if (!next_run(left, run)) {
      return false;
    }
    std::memcpy(to + at, begin + at, sizeof(RunHeader));
    char* const entries = to + at + sizeof(RunHeader);
    if (is_turned(run.header)) {
      turn(run.entries.data(), run.header.count, run.header.bytes / run.header.count, entries);
    } else {
      std::memcpy(entries, run.entries.data(), run.entries.size());
    }
  }
  return true;
}

}  // namespace

bool rows_to_columns(std::string_view payload, char* to) {
  bool has_turned = false;
  const bool is_sound = for_each_run(
      payload, to, [&](const char* from, std::size_t count, std::size_t size, char* entries) {
        turn(count, size, [&](std::size_t in_rows, std::size_t in_columns) {
          entries[in_columns] = from[in_rows];
        });
        has_turned = true;
      });
  return is_sound && has_turned;
}

bool columns_to_rows(std::string_view payload, char* to) {
  return for_each_run(payload, to,
                      [](const char* from, std::size_t count, std::size_t size, char* entries) {
                        turn(count, size, [&](std::size_t in_rows, std::size_t in_columns) {
                          entries[in_rows] = from[in_columns];
                        });
                      });
}

}  // namespace weir::state
