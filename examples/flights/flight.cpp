#include "flight.h"

#include <array>
#include <charconv>
#include <chrono>

#include <fmt/format.h>

namespace flights {
namespace {

template <class T>
bool to_number(std::string_view text, T& out) {
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), out);
  return failure == std::errc() && end == text.data() + text.size();
}

/// "YYYY-MM-DDTHH:MM"
bool to_time(std::string_view text, std::int64_t& out) {
  int year = 0;
  unsigned month = 0;
  unsigned day = 0;
  int hour = 0;
  int minute = 0;
  if (text.size() != 16 || !to_number(text.substr(0, 4), year) ||
      !to_number(text.substr(5, 2), month) || !to_number(text.substr(8, 2), day) ||
      !to_number(text.substr(11, 2), hour) || !to_number(text.substr(14, 2), minute)) {
    return false;
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                         std::chrono::day(day)};
  const std::chrono::sys_days days(date);
  out = (std::chrono::duration_cast<std::chrono::minutes>(days.time_since_epoch()).count() +
         hour * 60 + minute) *
        60'000;
  return date.ok();
}

std::string to_text(std::int64_t time_ms) {
  const std::chrono::sys_time<std::chrono::milliseconds> time{std::chrono::milliseconds(time_ms)};
  const auto days = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(days);
  const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(time - days).count();
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     minutes / 60, minutes % 60);
}

}  // namespace

weir::Status parse_flight(std::string_view row, Flight& out) {
  std::array<std::string_view, 5> field;
  for (std::size_t i = 0; i < field.size(); ++i) {
    const std::size_t comma = row.find(',');
    if ((comma == std::string_view::npos) != (i + 1 == field.size())) {
      return weir::Error{weir::ErrorCode::kUser, "a flight has five fields"};
    }
    field[i] = row.substr(0, comma);
    row.remove_prefix(comma == std::string_view::npos ? row.size() : comma + 1);
  }
  if (!to_time(field[0], out.scheduled_ms) || !to_number(field[1], out.delay_minutes) ||
      !to_number(field[2], out.distance_miles)) {
    return weir::Error{weir::ErrorCode::kUser, "a flight begins with a time and two numbers"};
  }
  out.origin = field[3];
  out.destination = field[4];
  return {};
}

std::string to_row(const Flight& flight) {
  return fmt::format("{},{},{},{},{}", to_text(flight.scheduled_ms), flight.delay_minutes,
                     flight.distance_miles, flight.origin, flight.destination);
}

std::string to_row(const HourlyDelay& result) {
  return fmt::format("{},{},{},{:.6f},{}", result.origin, to_text(result.hour_ms), result.flights,
                     result.mean_delay, result.max_delay);
}

}  // namespace flights
