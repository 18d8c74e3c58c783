#include "output.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

#include <fmt/format.h>
#include <unistd.h>

#include "weir/check.h"

namespace weir::cli {
namespace {

/// Characters on the screen: UTF-8 continuation bytes take no place.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U;
  }));
}

}  // namespace

Table& Table::column(std::string title, Align align) {
  titles_.push_back(std::move(title));
  aligns_.push_back(align);
  return *this;
}

void Table::row(std::vector<std::string> cells) {
  WEIR_CHECK(cells.size() == titles_.size());
  rows_.push_back(std::move(cells));
}

std::string Table::to_string(std::size_t indent) const {
  std::vector<std::size_t> widths;
  for (std::size_t column = 0; column < titles_.size(); ++column) {
    std::size_t width = width_of(titles_[column]);
    for (const auto& row : rows_) {
      width = std::max(width, width_of(row[column]));
    }
    widths.push_back(width);
  }
  std::string text;
  const auto append = [&](const std::vector<std::string>& cells) {
    std::string line(indent, ' ');
    for (std::size_t column = 0; column < cells.size(); ++column) {
      const std::string padding(widths[column] - width_of(cells[column]), ' ');
      const bool is_right = aligns_[column] == Align::kRight;
      line += (column == 0 ? "" : "  ") + (is_right ? padding : "") + cells[column] +
              (is_right ? "" : padding);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  };
  append(titles_);
  for (const auto& row : rows_) {
    append(row);
  }
  return text;
}

std::string human_bytes(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 6> units{"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1000 &&
         unit + 1 < units.size()) {  // Never four digits: "1.0 MiB", not "1023 KiB".
    value /= 1024;
    ++unit;
  }
  const bool is_exact = unit == 0 || value >= 99.95;
  return is_exact ? fmt::format("{:.0f} {}", value, units[unit])
                  : fmt::format("{:.1f} {}", value, units[unit]);
}

std::string human_time(TimestampMs time_ms) {
  // Times of foreign manifests may be anything; the C library's calendar ends somewhere.
  constexpr TimestampMs furthest_ms = 253'402'300'799'999;  // the end of the year 9999
  if (time_ms == 0 || time_ms == kMinTimestamp) {
    return "-";
  }
  if (time_ms < 0 || time_ms > furthest_ms) {
    return fmt::format("{} ms", time_ms);
  }
  const std::time_t seconds = time_ms / 1000;
  std::tm calendar{};
  gmtime_r(&seconds, &calendar);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:03}Z", calendar.tm_year + 1900,
                     calendar.tm_mon + 1, calendar.tm_mday, calendar.tm_hour, calendar.tm_min,
                     calendar.tm_sec, time_ms % 1000);
}

std::string human_duration(std::int64_t duration_ms) {
  if (duration_ms < 1'000) {
    return fmt::format("{} ms", duration_ms);
  }
  if (duration_ms < 120'000) {
    return fmt::format("{:.1f} s", static_cast<double>(duration_ms) / 1e3);
  }
  return fmt::format("{} min", duration_ms / 60'000);
}

std::string human_watermark(TimestampMs watermark) {
  if (watermark == kMinTimestamp) {
    return "none yet";
  }
  return watermark == kMaxTimestamp ? "end of input" : human_time(watermark);
}

std::string counted(std::uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string printable(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      result += fmt::format("\\x{:02x}", byte);
    } else {
      result.push_back(c);
    }
  }
  return result;
}

void print_json(const Json& json) {
  // Names may be any bytes; a document that a parser refuses would help nobody.
  print_text(json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

void print_text(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

int print_error(const Error& error) {
  const bool is_tty = ::isatty(STDERR_FILENO) == 1;
  const std::string line = fmt::format("{}weir:{} {}\n", is_tty ? "\x1b[31m" : "",
                                       is_tty ? "\x1b[0m" : "", printable(error.message));
  std::fwrite(line.data(), 1, line.size(), stderr);
  return error.code == ErrorCode::kInvalidArgument || error.code == ErrorCode::kNotFound
             ? kExitUsage
             : kExitFailed;
}

}  // namespace weir::cli
