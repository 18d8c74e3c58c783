#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "weir/check.h"

namespace weir {

/// What kind of failure it is. A new code exists only where a caller reacts differently to it.
enum class ErrorCode {
  kInvalidArgument,  ///< the caller or the configuration is wrong; trying again cannot help
  kNotFound,         ///< the named thing does not exist
  kAlreadyExists,    ///< create-if-absent found something there
  kUnavailable,      ///< transient: the same call may succeed later
  kTimeout,          ///< gave up waiting; the effect may still take place
  kNoSpace,          ///< disk or quota exhausted
  kOutOfMemory,      ///< the memory that the process may take is used up
  kIo,               ///< any other failure of a disk or a connection
  kCorruption,       ///< stored bytes are not what was written
  kAuthentication,   ///< the other side refused who we are or what we may do
  kFenced,           ///< a newer attempt has taken over
  kLost,             ///< proved: the target rolled back what was prepared
  kUnknownOutcome,   ///< a commit may or may not have happened
  kUser,             ///< user code threw, or user data cannot be processed
  kCancelled,        ///< stopped on request
  kInternal,         ///< none of the above
};

/// Short lower-case name of a code, for logs and metrics.
std::string_view error_code_name(ErrorCode code);

/// A failure: what was being done, to which thing, and (where known) the mend.
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;

  /// The same failure seen from one level up: "<context>: <message>".
  [[nodiscard]] Error with_context(std::string_view context) const {
    return Error{code, std::string(context) + ": " + message};
  }
};

/// Success, or one Error.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Error error) : error_(std::move(error)) {}  // NOLINT: implicit by design

  bool ok() const { return !error_.has_value(); }
  /// REQUIRES: !ok().
  const Error& error() const {
    WEIR_CHECK(error_.has_value());
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

/// A value, or one Error.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}      // NOLINT
  Result(Error error) : content_(std::in_place_index<1>, std::move(error)) {}  // NOLINT

  bool ok() const { return content_.index() == 0; }
  /// REQUIRES: ok().
  T& value() & {
    WEIR_CHECK_MESSAGE(ok(), std::get<1>(content_).message);
    return std::get<0>(content_);
  }
  const T& value() const& {
    WEIR_CHECK_MESSAGE(ok(), std::get<1>(content_).message);
    return std::get<0>(content_);
  }
  T&& value() && {
    WEIR_CHECK_MESSAGE(ok(), std::get<1>(content_).message);
    return std::move(std::get<0>(content_));
  }
  /// REQUIRES: !ok().
  const Error& error() const {
    WEIR_CHECK(!ok());
    return std::get<1>(content_);
  }
  Status status() const { return ok() ? Status() : Status(error()); }

 private:
  std::variant<T, Error> content_;
};

}  // namespace weir

#define WEIR_CONCAT_INNER(a, b) a##b
#define WEIR_CONCAT(a, b) WEIR_CONCAT_INNER(a, b)

/// Evaluates a Status or Result; on failure returns its Error from the enclosing function.
#define WEIR_TRY(expression)                     \
  do {                                           \
    auto weir_status = (expression);             \
    if (!weir_status.ok()) {                     \
      return ::weir::Error(weir_status.error()); \
    }                                            \
  } while (false)

/// `WEIR_ASSIGN(auto x, f())`: x = value of f(), or returns f()'s Error from this function.
#define WEIR_ASSIGN(declaration, expression) \
  WEIR_ASSIGN_INNER(WEIR_CONCAT(weir_result_, __LINE__), declaration, expression)
#define WEIR_ASSIGN_INNER(result, declaration, expression) \
  auto result = (expression);                              \
  if (!result.ok()) {                                      \
    return ::weir::Error(result.error());                  \
  }                                                        \
  declaration = std::move(result).value()
