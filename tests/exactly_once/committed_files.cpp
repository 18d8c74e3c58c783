#include "committed_files.h"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace crash {
namespace {

/// "part-<tag>-<subtask>-<checkpoint>-<counter>.csv" -> the three numbers at the end.
std::vector<std::int64_t> numbers_of(const std::string& name) {
  std::vector<std::int64_t> numbers;
  std::size_t end = name.rfind('.');
  for (int i = 0; i < 3 && end != std::string::npos && end > 0; ++i) {
    const std::size_t dash = name.rfind('-', end - 1);
    if (dash == std::string::npos) {
      break;
    }
    numbers.push_back(std::atoll(name.substr(dash + 1, end - dash - 1).c_str()));
    end = dash;
  }
  return numbers;
}

}  // namespace

void CommittedFiles::follow() {
  thread_ = std::thread([this] {
    while (!is_stopping_) {
      read_new();
      std::this_thread::sleep_for(std::chrono::milliseconds(15));
    }
  });
}

void CommittedFiles::stop() {
  if (thread_.joinable()) {
    is_stopping_ = true;
    thread_.join();
    is_stopping_ = false;
    read_new();
  }
}

std::set<CommittedFiles::File> CommittedFiles::list() const {
  std::set<File> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
    const std::string name = entry.path().filename().string();
    const std::vector<std::int64_t> numbers = numbers_of(name);
    if (name.starts_with("part-") && numbers.size() == 3) {
      found.emplace(numbers[1], numbers[0], numbers[2], name);
    }
  }
  return found;
}

void CommittedFiles::read_new() {
  // A listing is no snapshot: it may miss a file and show one that was committed after it. Two
  // equal ones in a row are closed under "committed before".
  std::set<File> files = list();
  for (std::set<File> again = list(); again != files; again = list()) {
    files = std::move(again);
  }
  for (const File& file : files) {
    if (!read_.insert(file).second) {
      continue;
    }
    std::ifstream in(folder_ + "/" + std::get<3>(file), std::ios::binary);
    for (std::string line; std::getline(in, line);) {
      on_line_(line);
    }
  }
}

std::vector<std::string> CommittedFiles::strangers() const {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_, error)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_regular_file() && !name.starts_with("part-")) {
      names.push_back(name);
    }
  }
  return names;
}

}  // namespace crash
