#pragma once

#include <string_view>

namespace weir {

/// Prints the broken invariant and aborts. Recovery from the last checkpoint is the repair.
[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               std::string_view message);

}  // namespace weir

/// An invariant of our own code. Always on, in every build.
#define WEIR_CHECK(condition)                                         \
  do {                                                                \
    if (!(condition)) [[unlikely]] {                                  \
      ::weir::check_failed(__FILE__, __LINE__, #condition, {});       \
    }                                                                 \
  } while (false)

/// WEIR_CHECK with a sentence that says what it means.
#define WEIR_CHECK_MESSAGE(condition, message)                        \
  do {                                                                \
    if (!(condition)) [[unlikely]] {                                  \
      ::weir::check_failed(__FILE__, __LINE__, #condition, message);  \
    }                                                                 \
  } while (false)
