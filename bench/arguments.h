#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace weir::bench {

/// `--name value` pairs of a benchmark program. A missing or malformed one ends the program.
class Arguments {
 public:
  Arguments(int argc, char** argv) : argc_(argc), argv_(argv) {}

  const char* find(const char* name) const {
    for (int i = 1; i + 1 < argc_; ++i) {
      if (std::strncmp(argv_[i], "--", 2) == 0 && std::strcmp(argv_[i] + 2, name) == 0) {
        return argv_[i + 1];
      }
    }
    return nullptr;
  }
  std::string text(const char* name) const {
    const char* value = find(name);
    if (value == nullptr) {
      std::fprintf(stderr, "%s: --%s is missing\n", argv_[0], name);
      std::exit(2);
    }
    return value;
  }
  std::uint64_t number(const char* name) const {
    const std::string value = text(name);
    char* end = nullptr;
    const std::uint64_t number = std::strtoull(value.c_str(), &end, 10);
    if (value.empty() || *end != '\0') {
      std::fprintf(stderr, "%s: --%s %s is not a number\n", argv_[0], name, value.c_str());
      std::exit(2);
    }
    return number;
  }

 private:
  int argc_;
  char** argv_;
};

}  // namespace weir::bench
