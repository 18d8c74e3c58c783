#include "checkpoint_folder.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "checkpoint/store.h"

namespace crash {

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream bytes;
  bytes << in.rdbuf();
  return bytes.str();
}

void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

CheckpointFolder::CheckpointFolder(const std::string& checkpoints) {
  for (const auto& entry : std::filesystem::directory_iterator(checkpoints)) {
    if (entry.is_directory()) {
      EXPECT_TRUE(path_.empty()) << checkpoints << " holds several jobs";
      path_ = entry.path().string();
    }
  }
  EXPECT_FALSE(path_.empty()) << checkpoints << " holds no job";
}

std::string CheckpointFolder::manifest_path(std::int64_t checkpoint) const {
  return path_ + "/chk-" + std::to_string(checkpoint) + "/_metadata";
}

std::vector<std::int64_t> CheckpointFolder::published() const {
  std::vector<std::int64_t> ids;
  for (const auto& entry : std::filesystem::directory_iterator(path_)) {
    const std::string name = entry.path().filename().string();
    const auto manifest = entry.path() / "_metadata";
    if (name.starts_with("chk-") && std::filesystem::exists(manifest) &&
        !weir::checkpoint::CheckpointStore::is_seal(read_file(manifest.string()))) {
      ids.push_back(std::stoll(name.substr(4)));
    }
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

weir::checkpoint::Manifest CheckpointFolder::manifest(std::int64_t checkpoint) const {
  auto manifest = weir::checkpoint::decode_manifest(read_file(manifest_path(checkpoint)));
  EXPECT_TRUE(manifest.ok()) << manifest.error().message;
  return std::move(manifest).value();
}

std::vector<std::string> CheckpointFolder::files_of(
    const weir::checkpoint::Manifest& manifest) const {
  std::vector<std::string> paths;
  for (const auto& file : weir::checkpoint::files_of(manifest)) {
    paths.push_back(path_ + "/" + file.path);
  }
  return paths;
}

}  // namespace crash
