#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace demo {

/// One result, as it stands in a line of a result file.
struct Row {
  char kind = 0;  ///< R running total of an account, F its final total, W window of a merchant
  std::int64_t key = 0;           ///< account or merchant
  std::int64_t window_start = 0;  ///< of W, else 0
  std::int64_t count = 0;
  std::int64_t sum = 0;
  std::int64_t max = 0;  ///< of W, else 0
  friend auto operator<=>(const Row&, const Row&) = default;
};

/// A row with another value than it should have is lost and, as something nobody should see,
/// duplicated.
struct Comparison {
  std::int64_t lost = 0;
  std::int64_t duplicated = 0;
  std::vector<Row> first_lost;        ///< a few examples
  std::vector<Row> first_duplicated;  ///< a few examples
};

/// What the job has to compute, by a plain loop over the same payments.
std::vector<Row> recompute(std::uint64_t records, std::uint64_t seed);

/// The rows of all committed files below the job's folder; throws if a file cannot be read. A line
/// that is no row becomes a row of kind '?', which nothing expects.
std::vector<Row> read_results(const std::string& folder);
std::optional<Row> parse_row(std::string_view line);

Comparison compare(std::vector<Row> expected, std::vector<Row> found);

std::string to_string(const Row& row);

}  // namespace demo
