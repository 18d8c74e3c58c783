#include "state_processor/scratch_directory.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace weir::state_processor {

Result<std::unique_ptr<ScratchDirectory>> ScratchDirectory::create(const std::string& parent) {
  std::string name = parent + "/.weir-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) {
    return Error{errno == ENOSPC ? ErrorCode::kNoSpace : ErrorCode::kIo,
                 "cannot make a directory in " + parent + ": " + std::strerror(errno)};
  }
  return std::unique_ptr<ScratchDirectory>(new ScratchDirectory(std::move(name)));
}

ScratchDirectory::~ScratchDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace weir::state_processor
