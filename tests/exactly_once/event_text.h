#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "event.h"

namespace crash {

/// Events and results as lines of comma separated numbers, in files and in Kafka.
void append_event(const Event& event, std::string& out);
void append_total(const Total& total, std::string& out);
void append_window(const WindowTotal& window, std::string& out);

/// Nothing when `text` is not of this form.
std::optional<Event> parse_event(std::string_view text);
std::optional<Total> parse_total(std::string_view text);
std::optional<WindowTotal> parse_window(std::string_view text);

}  // namespace crash
