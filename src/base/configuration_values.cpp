// The notations of values: numbers, durations, sizes, choices; and the range checks of options.

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "base/local_path.h"
#include "weir/config_options.h"
#include "weir/configuration.h"
#include "weir/rocksdb_options.h"

namespace weir {
namespace {

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) {
    return {};
  }
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return result;
}

Error wrong(std::string message) { return Error{ErrorCode::kInvalidArgument, std::move(message)}; }

/// A number without sign in front of an optional unit.
struct NumberWithUnit {
  std::int64_t number = 0;
  std::string unit;  ///< lower case, may be empty
};

Result<NumberWithUnit> split_unit(std::string_view text, std::string_view kind) {
  const std::string_view trimmed = trim(text);
  NumberWithUnit result;
  const char* const end = trimmed.data() + trimmed.size();
  const auto [rest, error] = std::from_chars(trimmed.data(), end, result.number);
  if (error == std::errc::result_out_of_range) {
    return wrong("the " + std::string(kind) + " is too large");
  }
  if (error != std::errc() || trimmed.front() == '-') {
    return wrong("a " + std::string(kind) + " begins with a number of digits only");
  }
  result.unit = lower(trim({rest, static_cast<std::size_t>(end - rest)}));
  return result;
}

struct Unit {
  std::string_view name;
  std::int64_t factor;
};

const Unit* find_unit(std::span<const Unit> units, std::string_view name) {
  for (const Unit& unit : units) {
    if (unit.name == name) {
      return &unit;
    }
  }
  return nullptr;
}

constexpr std::int64_t kMinuteMs = 60'000;
constexpr std::int64_t kHourMs = 60 * kMinuteMs;
constexpr std::int64_t kDayMs = 24 * kHourMs;
constexpr std::array<Unit, 23> kMillisecondUnits{{
    {"", 1},
    {"ms", 1},
    {"milli", 1},
    {"millis", 1},
    {"millisecond", 1},
    {"milliseconds", 1},
    {"s", 1000},
    {"sec", 1000},
    {"secs", 1000},
    {"second", 1000},
    {"seconds", 1000},
    {"m", kMinuteMs},
    {"min", kMinuteMs},
    {"mins", kMinuteMs},
    {"minute", kMinuteMs},
    {"minutes", kMinuteMs},
    {"h", kHourMs},
    {"hour", kHourMs},
    {"hours", kHourMs},
    {"d", kDayMs},
    {"day", kDayMs},
    {"days", kDayMs},
    {"msec", 1},
}};

/// Units below a millisecond; the factor is how many make one.
constexpr std::array<Unit, 14> kFractionUnits{{
    {"us", 1000},
    {"\xc2\xb5s", 1000},  // micro sign
    {"\xce\xbcs", 1000},  // Greek mu
    {"micro", 1000},
    {"micros", 1000},
    {"microsecond", 1000},
    {"microseconds", 1000},
    {"ns", 1'000'000},
    {"nano", 1'000'000},
    {"nanos", 1'000'000},
    {"nanosecond", 1'000'000},
    {"nanoseconds", 1'000'000},
    {"usec", 1000},
    {"nsec", 1'000'000},
}};

constexpr std::int64_t kKibi = 1024;
constexpr std::array<Unit, 15> kSizeUnits{{
    {"", 1},
    {"b", 1},
    {"bytes", 1},
    {"k", kKibi},
    {"kb", kKibi},
    {"kibibytes", kKibi},
    {"m", kKibi * kKibi},
    {"mb", kKibi * kKibi},
    {"mebibytes", kKibi * kKibi},
    {"g", kKibi * kKibi * kKibi},
    {"gb", kKibi * kKibi * kKibi},
    {"gibibytes", kKibi * kKibi * kKibi},
    {"t", kKibi * kKibi * kKibi * kKibi},
    {"tb", kKibi * kKibi * kKibi * kKibi},
    {"tebibytes", kKibi * kKibi * kKibi * kKibi},
}};

std::string format_limit(double value) { return detail::format_double(value); }

}  // namespace

namespace detail {

Result<bool> parse_bool(std::string_view text) {
  const std::string value = lower(trim(text));
  if (value == "true") {
    return true;
  }
  if (value == "false") {
    return false;
  }
  return wrong("expected true or false");
}

Result<std::int64_t> parse_integer(std::string_view text, std::int64_t min, std::int64_t max) {
  std::string_view trimmed = trim(text);
  if (trimmed.size() > 1 && trimmed.front() == '+' && trimmed[1] != '-') {
    trimmed.remove_prefix(1);
  }
  std::int64_t value = 0;
  const char* const end = trimmed.data() + trimmed.size();
  const auto [rest, error] = std::from_chars(trimmed.data(), end, value);
  if (error == std::errc::result_out_of_range ||
      (error == std::errc() && rest == end && (value < min || value > max))) {
    return wrong("the number does not lie in " + std::to_string(min) + " to " +
                 std::to_string(max));
  }
  if (error != std::errc() || rest != end) {
    return wrong("expected a whole number");
  }
  return value;
}

Result<double> parse_double(std::string_view text) {
  const std::string_view trimmed = trim(text);
  double value = 0;
  const char* const end = trimmed.data() + trimmed.size();
  const auto [rest, error] = std::from_chars(trimmed.data(), end, value);
  if (error != std::errc() || rest != end || !std::isfinite(value)) {
    return wrong("expected a number");
  }
  return value;
}

Result<DurationMs> parse_duration(std::string_view text) {
  WEIR_ASSIGN(const NumberWithUnit parsed, split_unit(text, "duration"));
  if (const Unit* unit = find_unit(kMillisecondUnits, parsed.unit); unit != nullptr) {
    if (parsed.number > std::numeric_limits<std::int64_t>::max() / unit->factor) {
      return wrong("the duration is too large");
    }
    return DurationMs(parsed.number * unit->factor);
  }
  if (const Unit* unit = find_unit(kFractionUnits, parsed.unit); unit != nullptr) {
    if (parsed.number % unit->factor != 0) {
      return wrong("durations are whole milliseconds");
    }
    return DurationMs(parsed.number / unit->factor);
  }
  return wrong("unknown unit of time '" + parsed.unit + "'; known are d, h, min, s, ms, us, ns");
}

Result<SizeBytes> parse_size(std::string_view text) {
  WEIR_ASSIGN(const NumberWithUnit parsed, split_unit(text, "size"));
  const Unit* const unit = find_unit(kSizeUnits, parsed.unit);
  if (unit == nullptr) {
    return wrong("unknown unit of size '" + parsed.unit + "'; known are b, kb, mb, gb, tb");
  }
  if (parsed.number > std::numeric_limits<std::int64_t>::max() / unit->factor) {
    return wrong("the size is too large");
  }
  return SizeBytes{parsed.number * unit->factor};
}

Result<std::size_t> parse_choice(std::string_view text, std::span<const std::string_view> names) {
  const std::string wanted = lower(trim(text));
  std::string list;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (lower(names[i]) == wanted) {
      return i;
    }
    list += (i == 0 ? "" : ", ") + std::string(names[i]);
  }
  return wrong("expected one of " + list);
}

std::string format_double(double value) {
  std::array<char, 32> text{};
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), value);
  WEIR_CHECK(error == std::errc());
  return {text.data(), end};
}

Status check_range(std::int64_t value, std::int64_t min, std::int64_t max, std::string_view unit) {
  const std::string suffix(unit);
  if (value < min) {
    return wrong("must be at least " + std::to_string(min) + suffix);
  }
  if (value > max) {
    return wrong("must be at most " + std::to_string(max) + suffix);
  }
  return {};
}

Status check_range(double value, double min, double max) {
  if (value < min || value > max) {
    return wrong("must lie in " + format_limit(min) + " to " + format_limit(max));
  }
  return {};
}

Status backoff_multiplier(const double& value) { return check_range(value, 1.0, 1000.0); }

Status jitter_factor(const double& value) { return check_range(value, 0.0, 1.0); }

Status not_empty(const std::string& value) {
  return trim(value).empty() ? Status(wrong("must not be empty")) : Status();
}

Status location(const std::string& value) {
  WEIR_TRY(not_empty(value));
  return local_path(value).status();
}

std::vector<std::string> split_locations(const std::string& value) {
  std::vector<std::string> all;
  std::string_view rest = value;
  while (!trim(rest).empty()) {
    const std::size_t end = std::min(rest.find(','), rest.size());
    all.emplace_back(trim(rest.substr(0, end)));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return all;
}

Status locations(const std::string& value) {
  WEIR_TRY(not_empty(value));
  for (const std::string& one : split_locations(value)) {
    WEIR_TRY(location(one));
  }
  return {};
}

Status no_managed_memory(const bool& value) {
  return value ? Status(wrong("must be false: there is no managed memory; set "
                              "state.backend.rocksdb.memory.fixed-per-tm"))
               : Status();
}

Status no_memory_per_slot(const SizeBytes& /*value*/) {
  return wrong(
      "cannot be set: there are no slots, all RocksDB state of the process shares its memory; set "
      "state.backend.rocksdb.memory.fixed-per-tm");
}

Status job_id(const std::string& value) {
  constexpr std::size_t kJobIdBytesMax = 64;
  const auto is_allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  if (value.empty() || value.size() > kJobIdBytesMax || value.front() == '.' ||
      !std::all_of(value.begin(), value.end(), is_allowed)) {
    return wrong("must be 1 to 64 letters, digits, '.', '_' or '-' and not begin with '.'");
  }
  return {};
}

Status fraction(const double& value) { return check_range(value, 0.0, 1.0); }

Status rocksdb_compaction_style(const RocksDbCompactionStyle& value) {
  if (value == RocksDbCompactionStyle::kFifo) {
    return wrong("FIFO removes the oldest files, and with them state; use UNIVERSAL or LEVEL");
  }
  return {};
}

Status rocksdb_compression_per_level(const std::string& value) {
  std::string_view rest = trim(value);
  if (rest.empty()) {
    return wrong("names no compression; use NO_COMPRESSION for none");
  }
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(';'), rest.size());
    const auto known = find_rocksdb_compression(trim(rest.substr(0, end)));
    if (!known.has_value()) {
      return wrong("'" + std::string(rest.substr(0, end)) +
                   "' is none of NO_COMPRESSION, SNAPPY_COMPRESSION, LZ4_COMPRESSION, ZSTD; "
                   "separate levels by ';'");
    }
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return {};
}

std::optional<RocksDbCompression> find_rocksdb_compression(std::string_view name) {
  for (const auto& [text, value] : ConfigEnum<RocksDbCompression>::kNames) {
    if (name == text) {
      return value;
    }
  }
  return std::nullopt;
}

}  // namespace detail
}  // namespace weir
