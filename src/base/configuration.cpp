#include "weir/configuration.h"

#include <algorithm>
#include <array>

#include "base/configuration_registry.h"

namespace weir {
namespace {

Error wrong(std::string message) { return Error{ErrorCode::kInvalidArgument, std::move(message)}; }

std::string shown_value(std::string_view key, std::string_view text) {
  return is_sensitive_key(key) ? "******" : std::string(text);
}

/// What from_args found, before any of it is applied.
struct Arguments {
  std::optional<std::string> config_file;
  std::vector<std::string> definitions;
  std::vector<std::string> rest;
};

Result<Arguments> sort_arguments(int argc, const char* const* argv) {
  constexpr std::string_view kConfigEquals = "--config=";
  Arguments result;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--") {
      result.rest.insert(result.rest.end(), argv + i, argv + argc);
      break;
    }
    const bool is_config = argument == "--config" || argument.starts_with(kConfigEquals);
    if (!is_config && !argument.starts_with("-D")) {
      result.rest.emplace_back(argument);
      continue;
    }
    const bool takes_next = argument == "--config" || argument == "-D";
    if (takes_next && i + 1 == argc) {
      return wrong("the last argument, " + std::string(argument) + ", lacks its value");
    }
    std::string value(takes_next ? argv[++i]
                                 : argument.substr(is_config ? kConfigEquals.size() : 2));
    if (!is_config) {
      result.definitions.push_back(std::move(value));
    } else if (result.config_file.has_value()) {
      return wrong("--config is given twice");
    } else {
      result.config_file = std::move(value);
    }
  }
  return result;
}

}  // namespace

bool is_sensitive_key(std::string_view key) {
  constexpr std::array<std::string_view, 13> kMarks{
      "password",    "passwd",      "secret",      "token",       "apikey",
      "api-key",     "auth-params", "service-key", "account.key", "basic-auth",
      "jaas.config", "credential",  "private-key"};
  std::string lower(key);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return std::any_of(kMarks.begin(), kMarks.end(),
                     [&](std::string_view mark) { return lower.find(mark) != std::string::npos; });
}

Result<Configuration> Configuration::from_args(int argc, const char* const* argv,
                                               std::vector<std::string>* rest) {
  WEIR_ASSIGN(Arguments arguments, sort_arguments(argc, argv));
  Configuration configuration;
  if (arguments.config_file.has_value()) {
    WEIR_TRY(configuration.load_file(*arguments.config_file));
  }
  WEIR_TRY(configuration.load_environment());
  for (const std::string& definition : arguments.definitions) {
    WEIR_TRY(configuration.set_definition(definition));
  }
  if (rest != nullptr) {
    *rest = std::move(arguments.rest);
  }
  return configuration;
}

Status Configuration::set(std::string_view key, std::string_view text) {
  return set_checked(key, {std::string(text), ConfigOrigin::kCode, "code"});
}

Status Configuration::set_definition(std::string_view definition) {
  const std::size_t equals = definition.find('=');
  if (equals == 0 || equals == std::string_view::npos) {
    return wrong("-D " + std::string(definition.substr(0, equals)) + ": expected key=value");
  }
  const std::string_view key = definition.substr(0, equals);
  const std::string_view text = definition.substr(equals + 1);
  const auto present = values_.find(key);
  if (present != values_.end() && present->second.origin == ConfigOrigin::kCommandLine &&
      present->second.text != text) {
    return wrong("-D " + std::string(key) + " is given twice, as " +
                 shown_value(key, present->second.text) + " and as " + shown_value(key, text));
  }
  return set_checked(key,
                     {std::string(text), ConfigOrigin::kCommandLine, "-D " + std::string(key)});
}

void Configuration::merge(const Configuration& other) {
  for (const auto& [key, value] : other.values_) {
    store(key, value);
  }
}

std::string Configuration::describe(std::string_view key) const {
  const auto entry = values_.find(key);
  if (entry != values_.end()) {
    return std::string(key) + " = " + shown_value(key, entry->second.text) + " (" +
           entry->second.where + ")";
  }
  const OptionInfo* const option = find_option(key);
  const bool has_default = option != nullptr && !option->default_text.empty();
  return std::string(key) +
         (has_default ? " = " + std::string(option->default_text) + " (default)" : " (not set)");
}

void Configuration::store(std::string_view key, Value value) {
  const auto present = values_.find(key);
  if (present == values_.end()) {
    values_.emplace(std::string(key), std::move(value));
  } else if (value.origin >= present->second.origin) {
    present->second = std::move(value);
  }
}

Status Configuration::set_checked(std::string_view key, Value value) {
  const OptionInfo* const option = find_option(key);
  if (option == nullptr) {
    return wrong("unknown configuration key '" + std::string(key) + "' (" + value.where +
                 "); did you mean '" + std::string(nearest_key(key)) + "'?");
  }
  const Status status = option->check_text(value.text);
  if (!status.ok()) {
    return wrong("configuration " + std::string(key) + " = " + shown_value(key, value.text) + " (" +
                 value.where + "): " + status.error().message);
  }
  store(key, std::move(value));
  return {};
}

std::optional<std::string> Configuration::text_of(std::string_view key,
                                                  std::string_view default_text) const {
  const auto entry = values_.find(key);
  if (entry != values_.end()) {
    return entry->second.text;
  }
  return default_text.empty() ? std::nullopt : std::optional<std::string>(default_text);
}

}  // namespace weir
