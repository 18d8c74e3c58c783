#pragma once

#include <optional>
#include <string>

#include "state_commands.h"

namespace weir::cli {

/// `weir state get, scan, export` of state that belongs to no key: lists, union lists, broadcast
/// state. Nothing when the snapshot has no such state of that name; else the exit status.

std::optional<int> get_operator_state(const StateAddress& address, const std::string& key);
std::optional<int> scan_operator_state(const StateAddress& address, const ScanOptions& options);
std::optional<int> export_operator_state(const StateAddress& address, const ExportOptions& options);

}  // namespace weir::cli
