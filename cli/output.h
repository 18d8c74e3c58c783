#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "weir/result.h"
#include "weir/time.h"

namespace weir::cli {

/// Keeps its members in the order in which they were put in.
using Json = nlohmann::ordered_json;

/// What the shell sees.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;  ///< damage was found, or what was asked for did not happen
inline constexpr int kExitUsage = 2;   ///< the command line is wrong, or names what is not there

/// Columns that are as wide as their widest cell, two spaces apart. Plain text.
class Table {
 public:
  enum class Align { kLeft, kRight };

  Table& column(std::string title, Align align = Align::kLeft);
  /// REQUIRES: as many cells as columns.
  void row(std::vector<std::string> cells);
  bool is_empty() const { return rows_.empty(); }
  /// Every line indented by `indent` spaces, without trailing spaces.
  std::string to_string(std::size_t indent = 0) const;

 private:
  std::vector<std::string> titles_;
  std::vector<Align> aligns_;
  std::vector<std::vector<std::string>> rows_;
};

/// "517 B", "1.2 KiB", "34 MiB".
std::string human_bytes(std::uint64_t bytes);
/// "2026-11-22 17:05:12.034Z"; "-" for 0 and for no time.
std::string human_time(TimestampMs time_ms);
/// "12 ms", "3.4 s", "5 min".
std::string human_duration(std::int64_t duration_ms);
/// A watermark: "none yet", "end of input", or the time.
std::string human_watermark(TimestampMs watermark);
/// "3 files", "1 file".
std::string counted(std::uint64_t count, std::string_view noun);

/// Control characters of foreign text as \xNN, so that it cannot play tricks on a terminal.
std::string printable(std::string_view text);

/// One JSON document and a newline on stdout.
void print_json(const Json& json);
void print_text(std::string_view text);
/// "weir: <message>" on stderr; returns the exit status: kExitUsage where the command line is to
/// blame.
int print_error(const Error& error);

}  // namespace weir::cli
