#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "weir/result.h"
#include "weir/time.h"

namespace weir {

/// A size in bytes, as in "128 mb".
struct SizeBytes {
  std::int64_t value = 0;
  friend bool operator==(const SizeBytes&, const SizeBytes&) = default;
};

/// The spellings of an enum in configurations: specialise with
/// `static constexpr std::array<std::pair<std::string_view, E>, n> kNames`.
/// The first name of an enumerator is the canonical one; case does not matter.
template <class E>
struct ConfigEnum;

/// A configuration key with its type. All keys of weir are in weir/config_options.h.
/// T is bool, int, std::int64_t, double, std::string, DurationMs, SizeBytes or a ConfigEnum.
template <class T>
struct ConfigOption {
  std::string_view key;
  std::string_view default_text;  ///< written like a value in a file; empty: no default
  std::string_view description;
  Status (*check)(const T& value) = nullptr;
  /// False: the key is known, but this build does not act on it. Any value but the default is
  /// refused, because a setting without effect is an error.
  bool is_available = true;
};

/// Where a value came from, in rising precedence.
enum class ConfigOrigin { kCode, kFile, kEnvironment, kCommandLine };

namespace detail {

Result<bool> parse_bool(std::string_view text);
Result<std::int64_t> parse_integer(std::string_view text, std::int64_t min, std::int64_t max);
Result<double> parse_double(std::string_view text);
Result<DurationMs> parse_duration(std::string_view text);
Result<SizeBytes> parse_size(std::string_view text);
/// Index of the name that equals `text` regardless of case.
Result<std::size_t> parse_choice(std::string_view text, std::span<const std::string_view> names);
std::string format_double(double value);

template <class E>
constexpr auto config_enum_names() {
  std::array<std::string_view, ConfigEnum<E>::kNames.size()> names{};
  for (std::size_t i = 0; i < names.size(); ++i) {
    names[i] = ConfigEnum<E>::kNames[i].first;
  }
  return names;
}

}  // namespace detail

/// Reads one value in the notation of configuration files.
template <class T>
Result<T> parse_config_value(std::string_view text) {
  if constexpr (std::is_same_v<T, bool>) {
    return detail::parse_bool(text);
  } else if constexpr (std::is_same_v<T, int> || std::is_same_v<T, std::int64_t>) {
    auto number =
        detail::parse_integer(text, std::numeric_limits<T>::min(), std::numeric_limits<T>::max());
    return number.ok() ? Result<T>(static_cast<T>(number.value())) : Result<T>(number.error());
  } else if constexpr (std::is_same_v<T, double>) {
    return detail::parse_double(text);
  } else if constexpr (std::is_same_v<T, std::string>) {
    return std::string(text);
  } else if constexpr (std::is_same_v<T, DurationMs>) {
    return detail::parse_duration(text);
  } else if constexpr (std::is_same_v<T, SizeBytes>) {
    return detail::parse_size(text);
  } else {
    static_assert(std::is_enum_v<T>, "weir: no configuration value can have this type");
    auto index = detail::parse_choice(text, detail::config_enum_names<T>());
    return index.ok() ? Result<T>(ConfigEnum<T>::kNames[index.value()].second)
                      : Result<T>(index.error());
  }
}

/// The notation parse_config_value reads back to the same value.
template <class T>
std::string format_config_value(const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value ? "true" : "false";
  } else if constexpr (std::is_same_v<T, double>) {
    return detail::format_double(value);
  } else if constexpr (std::is_same_v<T, std::string>) {
    return value;
  } else if constexpr (std::is_same_v<T, DurationMs>) {
    return std::to_string(value.count()) + " ms";
  } else if constexpr (std::is_same_v<T, SizeBytes>) {
    return std::to_string(value.value) + " b";
  } else if constexpr (std::is_enum_v<T>) {
    for (const auto& [name, enumerator] : ConfigEnum<T>::kNames) {
      if (enumerator == value) {
        return std::string(name);
      }
    }
    WEIR_CHECK_MESSAGE(false, "weir: enumerator without a name in ConfigEnum::kNames");
  } else {
    return std::to_string(value);
  }
}

/// The settings of a job under Flink's keys. A value from the command line beats one from the
/// environment, which beats one from a file, which beats one from code, in whichever order they are
/// set. Every value remembers where it came from.
///
/// Text is checked when it is set: an unknown key is an error that names the nearest known one.
/// What settings mean together is checked by validate().
class Configuration {
 public:
  struct Value {
    std::string text;
    ConfigOrigin origin = ConfigOrigin::kCode;
    std::string where;  ///< "code", "config.yaml:12", "$WEIR_CONF_...", "-D ..."
  };

  /// The usual start of a program: `--config <file>`, the environment, and every `-D key=value`.
  /// Other arguments are left to the program, which finds them in `rest` in their order
  /// (argv[0] is not among them). Parsing stops at `--`.
  static Result<Configuration> from_args(int argc, const char* const* argv,
                                         std::vector<std::string>* rest = nullptr);

  /// Sets a value from code. A value the option refuses is reported by validate().
  template <class T>
  Configuration& set(const ConfigOption<T>& option, const std::type_identity_t<T>& value) {
    store(option.key, {format_config_value<T>(value), ConfigOrigin::kCode, "code"});
    return *this;
  }
  /// Sets a value from code, as text.
  Status set(std::string_view key, std::string_view text);
  /// Sets one `key=value` of the command line.
  Status set_definition(std::string_view definition);
  /// A YAML file with nested keys, dotted keys, or a mixture of both.
  Status load_file(const std::string& path);
  /// As load_file; `name` stands for the file in messages.
  Status load_yaml(const std::string& text, const std::string& name);
  /// Variables WEIR_CONF_<key>, where "__" stands for "." and "_" for "-":
  /// WEIR_CONF_execution__checkpointing__min_pause. Upper case is accepted too.
  /// `variables` is a null-terminated list as `environ`, which is taken if it is null.
  Status load_environment(const char* const* variables = nullptr);
  /// Takes over the values of `other` by precedence; among equals `other` wins.
  void merge(const Configuration& other);

  bool is_set(std::string_view key) const { return values_.find(key) != values_.end(); }
  template <class T>
  bool is_set(const ConfigOption<T>& option) const {
    return is_set(option.key);
  }
  /// The value set, else the default, else nothing.
  template <class T>
  std::optional<T> find(const ConfigOption<T>& option) const {
    const auto text = text_of(option.key, option.default_text);
    if (!text.has_value()) {
      return std::nullopt;
    }
    // Set values were checked when they were set, defaults by a test of the registry.
    return parse_config_value<T>(*text).value();
  }
  /// REQUIRES: the option has a default, or is_set(option).
  template <class T>
  T get(const ConfigOption<T>& option) const {
    std::optional<T> value = find(option);
    WEIR_CHECK_MESSAGE(value.has_value(), option.key);
    return *std::move(value);
  }

  /// All values that were set, by key.
  const std::map<std::string, Value, std::less<>>& values() const { return values_; }
  /// "<key> = <value> (<where>)" for messages; the value of a secret-looking key is masked.
  std::string describe(std::string_view key) const;

 private:
  void store(std::string_view key, Value value);
  Status set_checked(std::string_view key, Value value);
  std::optional<std::string> text_of(std::string_view key, std::string_view default_text) const;

  std::map<std::string, Value, std::less<>> values_;
};

/// Everything wrong with the configuration, one line each: values out of range, settings without
/// effect, contradictions, what this build lacks. Called once before a job starts.
Status validate(const Configuration& configuration);

/// True for keys whose values must never be shown: password, secret, token and the like.
bool is_sensitive_key(std::string_view key);

}  // namespace weir
