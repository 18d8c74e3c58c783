#include "api/compat_request.h"

#include <cstdlib>
#include <fstream>
#include <string>

#include <nlohmann/json.hpp>

#include "io/local_file_system.h"
#include "runtime/compatibility.h"

namespace weir {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const runtime::Compatibility& compatibility) {
  Json operators = Json::array();
  for (const runtime::OperatorFit& op : compatibility.operators) {
    Json states = Json::array();
    for (const runtime::StateFit& state : op.states) {
      states.push_back({{"name", state.name},
                        {"kind", state.kind},
                        {"fit", runtime::fit_name(state.fit)},
                        {"stored", state.stored},
                        {"present", state.present},
                        {"notes", state.notes}});
    }
    operators.push_back({{"uid", op.uid},
                         {"name", op.name},
                         {"kind", op.kind},
                         {"fit", runtime::fit_name(op.fit)},
                         {"states", std::move(states)}});
  }
  return {{"operators", std::move(operators)}, {"refusals", compatibility.refusals}};
}

}  // namespace

std::optional<std::string> compat_snapshot() {
  const char* const snapshot = std::getenv("WEIR_COMPAT_SNAPSHOT");
  const bool is_asked = snapshot != nullptr && std::getenv("WEIR_COMPAT_REPORT") != nullptr;
  return is_asked ? std::optional<std::string>(snapshot) : std::nullopt;
}

Error answer_compat_request(const std::string& snapshot, const runtime::JobOptions& options,
                            const runtime::ExecutionPlan& plan) {
  FileSystem& files = options.files != nullptr ? *options.files : local_file_system();
  const auto compatibility = runtime::compare_with_snapshot(options, plan, files, snapshot);
  Json json{{"job", options.job_name}};
  if (compatibility.ok()) {
    json.update(to_json(compatibility.value()));
  } else {
    json["error"] = compatibility.error().message;
  }
  // Names in a hostile snapshot need not be UTF-8.
  std::ofstream(std::getenv("WEIR_COMPAT_REPORT"))
      << json.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
  return Error{ErrorCode::kCancelled,
               "the job was compared with " + snapshot + " for weir compat; nothing ran"};
}

}  // namespace weir
