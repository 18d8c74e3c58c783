#include "weir/result.h"

namespace weir {

std::string_view error_code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return "invalid argument";
    case ErrorCode::kNotFound:
      return "not found";
    case ErrorCode::kAlreadyExists:
      return "already exists";
    case ErrorCode::kUnavailable:
      return "unavailable";
    case ErrorCode::kTimeout:
      return "timeout";
    case ErrorCode::kNoSpace:
      return "no space";
    case ErrorCode::kOutOfMemory:
      return "out of memory";
    case ErrorCode::kIo:
      return "i/o";
    case ErrorCode::kCorruption:
      return "corruption";
    case ErrorCode::kAuthentication:
      return "authentication";
    case ErrorCode::kFenced:
      return "fenced";
    case ErrorCode::kLost:
      return "lost";
    case ErrorCode::kUnknownOutcome:
      return "unknown outcome";
    case ErrorCode::kUser:
      return "user code";
    case ErrorCode::kCancelled:
      return "cancelled";
    case ErrorCode::kInternal:
      return "internal";
  }
  return "unknown";
}

}  // namespace weir
