#include "oracle.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <unordered_map>

#include <fmt/format.h>

#include "job.h"
#include "payment.h"

namespace demo {
namespace {

struct Sum {
  std::int64_t count = 0;
  std::int64_t sum = 0;
  std::int64_t max = 0;
};

void read_file(const std::filesystem::path& path, std::vector<Row>& rows) {
  std::ifstream file(path);
  if (!file) {
    throw std::runtime_error("cannot read " + path.string());
  }
  for (std::string line; std::getline(file, line);) {
    rows.push_back(parse_row(line).value_or(Row{.kind = '?'}));
  }
}

}  // namespace

std::vector<Row> recompute(std::uint64_t records, std::uint64_t seed) {
  std::vector<Row> rows;
  std::unordered_map<std::uint32_t, Sum> accounts;
  std::unordered_map<std::int64_t, Sum> windows;  // by start * kMerchants + merchant
  for (std::uint64_t index = 0; index < records; ++index) {
    const Payment payment = make_payment(seed, index);
    Sum& account = accounts[payment.account];
    account.sum += payment.amount_cents;
    if (++account.count % kPaymentsPerResult == 0) {
      rows.push_back({'R', payment.account, 0, account.count, account.sum, 0});
    }
    const std::int64_t start = payment.time_ms - payment.time_ms % kWindow.count();
    Sum& window = windows[start * static_cast<std::int64_t>(kMerchants) + payment.merchant];
    ++window.count;
    window.sum += payment.amount_cents;
    window.max = std::max(window.max, payment.amount_cents);
  }
  for (const auto& [account, sum] : accounts) {
    rows.push_back({'F', account, 0, sum.count, sum.sum, 0});
  }
  for (const auto& [key, sum] : windows) {
    const auto merchants = static_cast<std::int64_t>(kMerchants);
    rows.push_back({'W', key % merchants, key / merchants, sum.count, sum.sum, sum.max});
  }
  return rows;
}

std::optional<Row> parse_row(std::string_view line) {
  if (line.empty()) {
    return std::nullopt;
  }
  const char kind = line.front();
  std::array<std::int64_t, 5> numbers{};
  const std::size_t wanted = kind == 'W' ? 5 : 3;
  const char* at = line.data() + 1;
  const char* const end = line.data() + line.size();
  for (std::size_t i = 0; i < wanted; ++i) {
    if (at == end || *at != ',') {
      return std::nullopt;
    }
    const auto [next, error] = std::from_chars(at + 1, end, numbers[i]);
    if (error != std::errc()) {
      return std::nullopt;
    }
    at = next;
  }
  if (at != end) {
    return std::nullopt;
  }
  switch (kind) {
    case 'R':
    case 'F':
      return Row{kind, numbers[0], 0, numbers[1], numbers[2], 0};
    case 'W':
      return Row{kind, numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]};
    default:
      return std::nullopt;
  }
}

std::vector<Row> read_results(const std::string& folder) {
  std::vector<Row> rows;
  for (const char* sub_folder : {kAccountsFolder, kWindowsFolder}) {
    for (const auto& entry :
         std::filesystem::directory_iterator(std::filesystem::path(folder) / sub_folder)) {
      if (entry.path().filename().string().starts_with(kResultPrefix)) {
        read_file(entry.path(), rows);
      }
    }
  }
  return rows;
}

Comparison compare(std::vector<Row> expected, std::vector<Row> found) {
  constexpr std::size_t kExamples = 3;
  std::sort(expected.begin(), expected.end());
  std::sort(found.begin(), found.end());
  Comparison result;
  auto want = expected.begin();
  auto have = found.begin();
  while (want != expected.end() || have != found.end()) {
    const bool is_missing = have == found.end() || (want != expected.end() && *want < *have);
    if (is_missing) {
      ++result.lost;
      if (result.first_lost.size() < kExamples) {
        result.first_lost.push_back(*want);
      }
      ++want;
    } else if (want == expected.end() || *have < *want) {
      ++result.duplicated;
      if (result.first_duplicated.size() < kExamples) {
        result.first_duplicated.push_back(*have);
      }
      ++have;
    } else {
      ++want;
      ++have;
    }
  }
  return result;
}

std::string to_string(const Row& row) {
  switch (row.kind) {
    case 'W':
      return fmt::format("merchant {}, window {}: {} payments, sum {}, max {}", row.key,
                         row.window_start, row.count, row.sum, row.max);
    case 'R':
    case 'F':
      return fmt::format("account {}: {} {} payments, sum {}", row.key,
                         row.kind == 'F' ? "in the end" : "after", row.count, row.sum);
    default:
      return "a line that is no result";
  }
}

}  // namespace demo
