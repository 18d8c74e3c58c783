#pragma once

#include <string>
#include <utility>

namespace weir {

/// Names a side output and its record type.
template <class T>
class OutputTag {
 public:
  explicit OutputTag(std::string name) : name_(std::move(name)) {}
  const std::string& name() const { return name_; }

 private:
  std::string name_;
};

}  // namespace weir
