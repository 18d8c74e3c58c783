#pragma once

#include <fstream>

#include "checkpoint/savepoint.h"
#include "checkpoint/store.h"
#include "io/local_file_system.h"
#include "recovery/client_scenario.h"

namespace weir::recovery {

class SavepointTest : public JobClientTest {
 protected:
  std::string savepoints() const { return directory_ + "/savepoints"; }

  Configuration chosen(const std::string& path, const std::string& checkpoints,
                       int parallelism = 2) const {
    Configuration settings = configuration(parallelism);
    settings.set(options::kCheckpointDir, directory_ + "/" + checkpoints);
    settings.set(options::kRecoveryPath, path);
    return settings;
  }
  static checkpoint::Manifest manifest_of(const std::string& path) {
    auto manifest = checkpoint::CheckpointStore::load_from(local_file_system(), path);
    EXPECT_TRUE(manifest.ok()) << manifest.error().message;
    return std::move(manifest).value();
  }
  static std::string read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  /// State files of operator `uid` by subtask, whole.
  static std::vector<std::string> state_of(const std::string& path, const std::string& uid) {
    std::vector<std::string> files;
    for (const auto& op : manifest_of(path).operators) {
      for (const auto& subtask : op.subtasks) {
        for (const auto& handle : subtask.files) {
          if (op.uid == uid) {
            files.push_back(read_file(path + "/" + handle.file.path));
          }
        }
      }
    }
    return files;
  }
  JobClient start_sums(const Configuration& settings) const {
    Environment environment(settings);
    sum_windows(environment, dud());
    return environment.execute_async("recovery").value();
  }
};

}  // namespace weir::recovery
