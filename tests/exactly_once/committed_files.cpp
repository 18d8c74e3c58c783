#include "committed_files.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <regex>
#include <sstream>
#include <utility>

namespace crash {
namespace {

struct PartName {
  std::int64_t subtask = 0;
  std::int64_t checkpoint = 0;
  std::int64_t counter = 0;
  std::string
      line;  ///< of a job that was started from a chosen snapshot; attempt, if at-least-once
};

/// "part-<tag>-<subtask>-<checkpoint>[-i<line>|-a<attempt>]-<counter>.csv"
std::optional<PartName> parse_name(const std::string& name) {
  static const std::regex pattern(R"(part-.*-(\d+)-(\d+)(?:-[ai]([0-9a-f]+))?-(\d+)\.\w+)");
  std::smatch found;
  if (!std::regex_match(name, found, pattern)) {
    return std::nullopt;
  }
  return PartName{std::stoll(found[1]), std::stoll(found[2]), std::stoll(found[4]), found[3]};
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
  // Two lines may have the same checkpoint numbers; the one that wrote first is the older one.
  std::map<std::string, std::int64_t> begin_of_line;
  std::vector<std::pair<std::string, PartName>> parts;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
    const std::string name = entry.path().filename().string();
    if (const auto part = parse_name(name)) {
      const std::int64_t written = entry.last_write_time(error).time_since_epoch().count();
      const auto line = begin_of_line.try_emplace(part->line, written).first;
      line->second = std::min(line->second, written);
      parts.emplace_back(name, *part);
    }
  }
  std::set<File> found;
  for (const auto& [name, part] : parts) {
    found.emplace(begin_of_line.at(part.line), part.checkpoint, part.counter, part.subtask, name);
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
    if (!read_.insert(std::get<4>(file)).second) {
      continue;
    }
    std::ifstream in(folder_ + "/" + std::get<4>(file), std::ios::binary);
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
