#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "io/faulty_file_system.h"
#include "state/canonical_file.h"
#include "state/model_operations.h"
#include "state/test_support.h"

namespace weir::state::test {

/// How often the rare things happened: a model that never does them shows nothing.
struct ModelCounts {
  int deltas = 0;
  int left_out = 0;    ///< files of chains that were not needed any more
  int reused = 0;      ///< files that an earlier checkpoint had stored
  int rescales = 0;    ///< restarts with another parallelism
  int crashes = 0;     ///< restarts while a snapshot was under way
  int abandoned = 0;   ///< snapshots
  int failed = 0;      ///< snapshots whose files could not be written
  int overlapped = 0;  ///< snapshots that were started while another was under way
  int versions = 0;    ///< of the job that took over
  int savepoints = 0;  ///< that a job went on from

  ModelCounts& operator+=(const ModelCounts& other) {
    for (int ModelCounts::* const count :
         {&ModelCounts::deltas, &ModelCounts::left_out, &ModelCounts::reused,
          &ModelCounts::rescales, &ModelCounts::crashes, &ModelCounts::abandoned,
          &ModelCounts::failed, &ModelCounts::overlapped, &ModelCounts::versions,
          &ModelCounts::savepoints}) {
      this->*count += other.*count;
    }
    return *this;
  }
};

/// The place where models that take over from each other leave their files.
class ModelSite {
 public:
  std::string new_path(const std::string& hint) {
    return directory_.file(hint + std::to_string(next_file_++));
  }
  std::string local_directory() const { return directory_.file("local"); }
  /// A file system where something goes wrong soon, as `chance` says.
  FileSystem& faulty_files(std::uint64_t chance) {
    files_.push_back(std::make_unique<FaultyFileSystem>(local_file_system()));
    FaultyFileSystem& files = *files_.back();
    constexpr std::uint64_t kSpace = 200'000;
    const auto passes = static_cast<int>(chance / 8 % 3);
    switch (chance % 4) {
      case 0:
        files.set_space_left(chance / 4 % kSpace);
        break;
      case 1:
        files.plan({.operation = FileOperation::kCreate, .passes_before = passes, .times = 1'000});
        break;
      case 2:
        files.plan({.operation = FileOperation::kAppend, .passes_before = passes, .times = 1});
        break;
      default:
        files.plan({.operation = FileOperation::kSync, .passes_before = passes, .times = 1});
    }
    return files;
  }

  ModelCounts counts;

 private:
  TemporaryDirectory directory_;
  std::vector<std::unique_ptr<FaultyFileSystem>> files_;
  int next_file_ = 0;
};

/// What the whole state of a model is, for whoever goes on from it, on any backend.
template <class K, class V>
struct ModelSavepoint {
  std::vector<RestoreFile> files;  ///< canonical, by subtask
  Contents<K, V> expected;

  static ModelSavepoint of(ModelSite& site, const std::vector<RestoreFile>& state_files,
                           Contents<K, V> expected) {
    ModelSavepoint savepoint{{}, std::move(expected)};
    for (const RestoreFile& file : state_files) {
      const std::string path = site.new_path("savepoint");
      const auto written = write_canonical_file(local_file_system(), file, path);
      EXPECT_TRUE(written.ok()) << (written.ok() ? "" : written.error().message);
      savepoint.files.push_back({path, written.value().file});
    }
    return savepoint;
  }
  std::vector<std::string> bytes() const {
    std::vector<std::string> all;
    for (const RestoreFile& file : files) {
      all.push_back(read_file(file.path));
    }
    return all;
  }
};

}  // namespace weir::state::test
