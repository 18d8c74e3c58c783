#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace weir::tool {

/// What a run of the `weir` program said.
struct ToolRun {
  int status = -1;  ///< exit status; 128 + n when signal n ended it
  std::string out;
  std::string err;

  /// stdout as JSON; a failure of the test when it is none.
  nlohmann::json json() const;
};

/// Runs the real program to its end.
ToolRun run_tool(const std::vector<std::string>& arguments);
/// The same of any program; `words` begin with its path.
ToolRun run_program(std::vector<std::string> words);

}  // namespace weir::tool
