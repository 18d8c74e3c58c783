// Configuration from YAML files and from the environment.

#include <cctype>
#include <cerrno>
#include <cstring>
#include <exception>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include "weir/configuration.h"

namespace weir {
namespace {

constexpr std::string_view kVariablePrefix = "WEIR_CONF_";

Error wrong(std::string message) { return Error{ErrorCode::kInvalidArgument, std::move(message)}; }

/// One scalar of a YAML file under its full key.
struct Setting {
  std::string key;
  std::string text;
  std::string where;
};

/// Turns nested maps into dotted keys.
class Flattener {
 public:
  explicit Flattener(std::string name) : name_(std::move(name)) {}

  Status add_map(const YAML::Node& map, const std::string& prefix, int depth) {
    constexpr int kDepthMax = 16;
    if (depth > kDepthMax) {
      return wrong(where(map) + ": keys are nested too deeply");
    }
    for (const auto& entry : map) {
      if (!entry.first.IsScalar()) {
        return wrong(where(entry.first) + ": a key must be plain text");
      }
      const std::string key = prefix + entry.first.Scalar();
      const YAML::Node& value = entry.second;
      if (value.IsMap()) {
        WEIR_TRY(add_map(value, key + ".", depth + 1));
      } else if (value.IsScalar()) {
        settings_.push_back({key, value.Scalar(), where(entry.first)});
      } else if (value.IsSequence()) {
        WEIR_TRY(add_list(value, key, where(entry.first)));
      } else {
        return wrong(where(entry.first) + ": " + key + " has no value");
      }
    }
    return {};
  }

  const std::vector<Setting>& settings() const { return settings_; }

 private:
  std::string where(const YAML::Node& node) const {
    return name_ + ":" + std::to_string(node.Mark().line + 1);
  }

  /// Lists are joined with ';' as in Flink.
  Status add_list(const YAML::Node& list, const std::string& key, const std::string& place) {
    std::string text;
    for (const auto& item : list) {
      if (!item.IsScalar()) {
        return wrong(place + ": " + key + " may only list plain values");
      }
      text += (text.empty() ? "" : ";") + item.Scalar();
    }
    settings_.push_back({key, text, place});
    return {};
  }

  std::string name_;
  std::vector<Setting> settings_;
};

/// The key a variable stands for: without the prefix, "__" as '.', "_" as '-', in lower case.
std::string key_of_variable(std::string_view variable) {
  std::string key;
  variable.remove_prefix(kVariablePrefix.size());
  for (std::size_t i = 0; i < variable.size(); ++i) {
    if (variable[i] != '_') {
      key.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(variable[i]))));
    } else if (i + 1 < variable.size() && variable[i + 1] == '_') {
      key.push_back('.');
      ++i;
    } else {
      key.push_back('-');
    }
  }
  return key;
}

}  // namespace

Status Configuration::load_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  // An empty file inserts nothing, which sets failbit on `text`; only the input's state counts.
  if (file) {
    text << file.rdbuf();
  }
  if (!file || file.bad()) {
    return Error{ErrorCode::kNotFound, "cannot read configuration file " + path + ": " +
                                           std::generic_category().message(errno)};
  }
  return load_yaml(text.str(), path);
}

Status Configuration::load_yaml(const std::string& text, const std::string& name) {
  Flattener flattener(name);
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(text);
    for (const YAML::Node& document : documents) {
      if (document.IsMap()) {
        WEIR_TRY(flattener.add_map(document, "", 0));
      } else if (!document.IsNull()) {
        return wrong("configuration file " + name + ": expected keys and values");
      }
    }
  } catch (const YAML::Exception& exception) {
    return wrong("configuration file " + name + ":" + std::to_string(exception.mark.line + 1) +
                 ": " + exception.msg);
  }
  std::map<std::string_view, const Setting*> seen;
  for (const Setting& setting : flattener.settings()) {
    const auto [earlier, is_new] = seen.emplace(setting.key, &setting);
    if (!is_new && earlier->second->text != setting.text) {
      return wrong("configuration key " + setting.key + " is set twice, differently: " +
                   earlier->second->where + " and " + setting.where);
    }
    WEIR_TRY(set_checked(setting.key, {setting.text, ConfigOrigin::kFile, setting.where}));
  }
  return {};
}

Status Configuration::load_environment(const char* const* variables) {
  if (variables == nullptr) {
    variables = environ;
  }
  std::map<std::string, std::string> seen;
  for (; variables != nullptr && *variables != nullptr; ++variables) {
    const std::string_view definition = *variables;
    const std::size_t equals = definition.find('=');
    if (!definition.starts_with(kVariablePrefix) || equals == std::string_view::npos) {
      continue;
    }
    const std::string_view variable = definition.substr(0, equals);
    const std::string text(definition.substr(equals + 1));
    const std::string key = key_of_variable(variable);
    const auto [earlier, is_new] = seen.emplace(key, text);
    if (!is_new && earlier->second != text) {
      return wrong("configuration key " + key + " is set twice in the environment, differently");
    }
    WEIR_TRY(set_checked(key, {text, ConfigOrigin::kEnvironment, "$" + std::string(variable)}));
  }
  return {};
}

}  // namespace weir
