#include "event_text.h"

#include <array>
#include <charconv>
#include <cstddef>

namespace crash {
namespace {

void append(std::string& out, const std::array<std::int64_t, 4>& numbers) {
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (i > 0) {
      out.push_back(',');
    }
    out += std::to_string(numbers[i]);
  }
}

std::optional<std::array<std::int64_t, 4>> parse(std::string_view text) {
  std::array<std::int64_t, 4> numbers{};
  const char* at = text.data();
  const char* const end = at + text.size();
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (i > 0 && (at == end || *at++ != ',')) {
      return std::nullopt;
    }
    const auto parsed = std::from_chars(at, end, numbers[i]);
    if (parsed.ec != std::errc()) {
      return std::nullopt;
    }
    at = parsed.ptr;
  }
  return at == end ? std::optional(numbers) : std::nullopt;
}

}  // namespace

void append_event(const Event& event, std::string& out) {
  append(out, {event.key, event.sequence, event.value, event.time_ms});
}

void append_total(const Total& total, std::string& out) {
  append(out, {total.key, total.sequence, total.count, total.total});
}

void append_window(const WindowTotal& window, std::string& out) {
  append(out, {window.group, window.start_ms, window.count, window.total});
}

std::optional<Event> parse_event(std::string_view text) {
  const auto numbers = parse(text);
  if (!numbers.has_value()) {
    return std::nullopt;
  }
  const auto& [key, sequence, value, time_ms] = *numbers;
  return Event{static_cast<std::uint32_t>(key), sequence, value, time_ms};
}

std::optional<Total> parse_total(std::string_view text) {
  const auto numbers = parse(text);
  if (!numbers.has_value()) {
    return std::nullopt;
  }
  const auto& [key, sequence, count, total] = *numbers;
  return Total{static_cast<std::uint32_t>(key), sequence, count, total};
}

std::optional<WindowTotal> parse_window(std::string_view text) {
  const auto numbers = parse(text);
  if (!numbers.has_value()) {
    return std::nullopt;
  }
  const auto& [group, start_ms, count, total] = *numbers;
  return WindowTotal{static_cast<std::uint32_t>(group), start_ms, count, total};
}

}  // namespace crash
