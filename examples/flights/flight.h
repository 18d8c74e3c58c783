#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "weir/result.h"
#include "weir/time.h"

namespace flights {

/// One row of the feed: "scheduled,delay_minutes,distance_miles,origin,destination".
struct Flight {
  std::int64_t scheduled_ms = 0;  ///< local scheduled departure, read as UTC: the event time
  std::int32_t delay_minutes = 0;
  std::int32_t distance_miles = 0;
  std::string origin;
  std::string destination;
};

/// Departures of one airport in one hour.
struct HourlyDelay {
  std::string origin;
  std::int64_t hour_ms = 0;
  std::int64_t flights = 0;
  double mean_delay = 0;
  std::int32_t max_delay = 0;
};

/// Error: the row does not have five fields of the right form.
weir::Status parse_flight(std::string_view row, Flight& out);

std::string to_row(const Flight& flight);
/// "origin,YYYY-MM-DDTHH:MM,flights,mean,max"
std::string to_row(const HourlyDelay& result);

}  // namespace flights
