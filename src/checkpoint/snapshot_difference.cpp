#include "checkpoint/snapshot_difference.h"

#include <map>
#include <tuple>
#include <utility>

namespace weir::checkpoint {
namespace {

std::uint64_t total_bytes(const std::map<std::string, std::uint64_t>& lengths) {
  std::uint64_t total = 0;
  for (const auto& [path, length] : lengths) {
    total += length;
  }
  return total;
}

struct Part {
  std::string name;
  std::string kind;
  int parallelism = 0;
  std::uint64_t bytes = 0;
};
using Parts = std::vector<std::pair<std::string, Part>>;  ///< by uid, in the manifest's order

Parts parts_of(const Manifest& manifest) {
  Parts parts;
  for (const SourceSnapshot& source : manifest.sources) {
    parts.push_back({source.uid, {source.name, "source", source.parallelism, 0}});
  }
  for (const OperatorSnapshot& op : manifest.operators) {
    parts.push_back({op.uid, {op.name, "operator", op.parallelism, bytes_of(op)}});
  }
  for (const SinkSnapshot& sink : manifest.sinks) {
    parts.push_back({sink.uid, {sink.name, "sink", sink.parallelism, bytes_of(sink)}});
  }
  return parts;
}

std::vector<OperatorDifference> compare_parts(const Manifest& first, const Manifest& second) {
  std::vector<OperatorDifference> result;
  std::map<std::pair<std::string, std::string>, std::size_t> known;  // (kind, uid) -> index
  for (const auto& [uid, part] : parts_of(first)) {
    known[{part.kind, uid}] = result.size();
    result.push_back(
        {uid, part.name, part.kind, Presence::kOnlyFirst, part.parallelism, 0, part.bytes, 0});
  }
  for (const auto& [uid, part] : parts_of(second)) {
    const auto found = known.find({part.kind, uid});
    if (found == known.end()) {
      result.push_back(
          {uid, part.name, part.kind, Presence::kOnlySecond, 0, part.parallelism, 0, part.bytes});
      continue;
    }
    OperatorDifference& difference = result[found->second];
    difference.name = part.name;
    difference.presence = Presence::kBoth;
    difference.parallelism_second = part.parallelism;
    difference.bytes_second = part.bytes;
  }
  return result;
}

using Splits = std::map<std::pair<std::string, std::string>, std::string>;

Splits splits_of(const Manifest& manifest) {
  Splits splits;
  for (const SourceSnapshot& source : manifest.sources) {
    for (const ReaderSnapshot& reader : source.readers) {
      for (const SourceSplit& split : reader.splits) {
        splits[{source.uid, split.id}] = split.state;
      }
    }
  }
  return splits;
}

std::vector<SplitDifference> compare_splits(const Manifest& first, const Manifest& second) {
  const Splits before = splits_of(first);
  const Splits after = splits_of(second);
  std::map<std::pair<std::string, std::string>, SplitDifference> result;
  for (const auto& [key, state] : before) {
    result[key] = {key.first, key.second, Presence::kOnlyFirst, state, ""};
  }
  for (const auto& [key, state] : after) {
    SplitDifference& difference = result[key];
    difference.source_uid = key.first;
    difference.id = key.second;
    difference.presence = before.contains(key) ? Presence::kBoth : Presence::kOnlySecond;
    difference.state_second = state;
  }
  std::vector<SplitDifference> list;
  for (auto& [key, difference] : result) {
    list.push_back(std::move(difference));
  }
  return list;
}

FileDifference compare_files(const Manifest& first, const Manifest& second) {
  FileDifference result;
  std::map<std::string, FileReference> before;
  for (FileReference& file : files_of(first)) {
    before.emplace(file.path, std::move(file));
  }
  for (FileReference& file : files_of(second)) {
    const auto found = before.find(file.path);
    if (found != before.end() && found->second == file) {
      before.erase(found);
      result.shared.push_back(std::move(file));
    } else {
      result.only_second.push_back(std::move(file));
    }
  }
  for (auto& [path, file] : before) {
    result.only_first.push_back(std::move(file));
  }
  return result;
}

}  // namespace

std::string_view presence_name(Presence presence) {
  switch (presence) {
    case Presence::kBoth:
      return "both";
    case Presence::kOnlyFirst:
      return "removed";
    case Presence::kOnlySecond:
      return "added";
  }
  return "?";
}

std::uint64_t bytes_of(const OperatorSnapshot& op) {
  std::map<std::string, std::uint64_t> lengths;  // a file may be named by several subtasks
  for (const SubtaskSnapshot& subtask : op.subtasks) {
    for (const StateHandle& handle : subtask.files) {
      lengths[handle.file.path] = handle.file.length_bytes;
    }
  }
  return total_bytes(lengths);
}

std::uint64_t bytes_of(const SinkSnapshot& sink) {
  std::map<std::string, std::uint64_t> lengths;
  for (const FileReference& file : sink.files) {
    lengths[file.path] = file.length_bytes;
  }
  return total_bytes(lengths);
}

SnapshotDifference difference_of(const Manifest& first, const Manifest& second) {
  return {compare_parts(first, second), compare_splits(first, second),
          compare_files(first, second)};
}

}  // namespace weir::checkpoint
