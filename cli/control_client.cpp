#include "control_client.h"

#include <memory>

#include "io/line_client.h"
#include "runtime/control_address.h"

namespace weir::cli {
namespace {

ErrorCode code_named(const std::string& name) {
  for (int i = 0; i <= static_cast<int>(ErrorCode::kInternal); ++i) {
    if (error_code_name(static_cast<ErrorCode>(i)) == name) {
      return static_cast<ErrorCode>(i);
    }
  }
  return ErrorCode::kInternal;
}

Result<std::unique_ptr<LineClient>> connect(const std::string& socket) {
  auto client = LineClient::connect(socket);
  if (!client.ok() && client.error().code == ErrorCode::kUnavailable) {
    return Error{ErrorCode::kUnavailable,
                 "the job does not run: nobody listens on " + socket +
                     ", which a killed process left behind; start the job again"};
  }
  return client;
}

}  // namespace

Result<Json> ask_job(const std::string& job, const runtime::ControlRequest& request,
                     DurationMs timeout) {
  WEIR_ASSIGN(const std::string socket, runtime::find_control_socket(job));
  WEIR_ASSIGN(const std::unique_ptr<LineClient> client, connect(socket));
  WEIR_TRY(client->send(runtime::encode_request(request)));
  const auto line = client->receive(timeout);
  if (!line.ok()) {
    if (line.error().code == ErrorCode::kTimeout) {
      return Error{ErrorCode::kTimeout,
                   "the job has not answered within " + human_duration(timeout.count()) +
                       "; what was asked of it may still be done (see --timeout)"};
    }
    return Error{line.error().code,
                 "the job ended before it answered: " + line.error().message + "; see its log"};
  }
  Json answer = Json::parse(line.value(), nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object() || !answer.value("ok", Json()).is_boolean()) {
    return Error{ErrorCode::kInternal,
                 "what listens on " + socket + " does not speak as a job: " + line.value()};
  }
  if (!answer.at("ok").get<bool>()) {
    return Error{code_named(answer.value("code", "")), answer.value("error", "refused")};
  }
  for (const char* const member : {"version", "id", "ok"}) {
    answer.erase(member);
  }
  return answer;
}

}  // namespace weir::cli
