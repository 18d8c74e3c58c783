#pragma once

#include <memory>
#include <string>

#include "weir/result.h"

namespace weir::state_processor {

/// A private directory for files that are not needed for long; removed with all that is in it.
class ScratchDirectory {
 public:
  static Result<std::unique_ptr<ScratchDirectory>> create(const std::string& parent);
  ~ScratchDirectory();
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  const std::string& path() const { return path_; }

 private:
  explicit ScratchDirectory(std::string path) : path_(std::move(path)) {}
  const std::string path_;
};

}  // namespace weir::state_processor
