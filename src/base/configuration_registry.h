#pragma once

#include <span>
#include <string>
#include <string_view>

#include "weir/result.h"

namespace weir {

/// One known configuration key without its type.
struct OptionInfo {
  std::string_view key;
  std::string_view type_name;  ///< for the reference page: "duration", "size", or the enum's names
  std::string_view default_text;
  std::string_view description;
  bool is_available = true;
  /// Whether `text` is a value of the option's type and passes its own check.
  Status (*check_text)(std::string_view text) = nullptr;
  /// Whether `text` means the same as the default. False without a default.
  bool (*is_default)(std::string_view text) = nullptr;
};

/// All known keys in the order of weir/config_options.h.
std::span<const OptionInfo> registered_options();
/// Null for an unknown key.
const OptionInfo* find_option(std::string_view key);
/// The known key an unknown one most likely means: the modern name of an old spelling, the one key
/// that ends in it, or the one with the least edit distance.
std::string_view nearest_key(std::string_view key);

/// The table of all keys: the text of docs/guide/configuration.md.
std::string configuration_reference();

}  // namespace weir
