#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <vector>

namespace crash {

/// Reads what a file sink has committed, as any reader of its folder would: the files that are not
/// hidden, in the order of their checkpoints, each once. follow() does so in a thread while the job
/// runs.
class CommittedFiles {
 public:
  using OnLine = std::function<void(std::string_view line)>;

  CommittedFiles(std::string folder, OnLine on_line)
      : folder_(std::move(folder)), on_line_(std::move(on_line)) {}
  ~CommittedFiles() { stop(); }
  CommittedFiles(const CommittedFiles&) = delete;
  CommittedFiles& operator=(const CommittedFiles&) = delete;

  void follow();
  /// Ends following and reads what is left.
  void stop();
  /// Reads what came since the last call.
  void read_new();
  std::int64_t files() const { return static_cast<std::int64_t>(read_.size()); }
  /// Hidden and other files in the folder that no committed result is in.
  std::vector<std::string> strangers() const;

 private:
  /// (begin of its line, checkpoint, counter, subtask, name): the order in which files were
  /// committed.
  using File = std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::string>;

  std::set<File> list() const;

  std::string folder_;
  OnLine on_line_;
  std::set<std::string> read_;
  std::atomic<bool> is_stopping_{false};
  std::thread thread_;
};

}  // namespace crash
