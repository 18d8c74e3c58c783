#include "checkpoint/manifest.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "checkpoint/edge_balance.h"

namespace weir::checkpoint {
namespace {

constexpr std::size_t kPathBytesMax = 1024;

Error invalid(const std::string& what) {
  return Error{ErrorCode::kInvalidArgument, "manifest: " + what};
}

using FileMap = std::map<std::string, FileReference>;

/// One path, one content.
Status add_file(const FileReference& file, FileMap& files) {
  if (!is_safe_relative_path(file.path)) {
    return invalid("unsafe file path '" + file.path + "'");
  }
  const auto [at, is_new] = files.emplace(file.path, file);
  if (!is_new && at->second != file) {
    return invalid("file " + file.path + " is named with two lengths or checksums");
  }
  return {};
}

Status check_parallelism(const std::string& what, int parallelism, int max_parallelism) {
  if (parallelism < 1 || parallelism > max_parallelism) {
    return invalid(what + " has parallelism " + std::to_string(parallelism) + " of at most " +
                   std::to_string(max_parallelism));
  }
  return {};
}

Status add_uid(const std::string& what, const std::string& uid, std::set<std::string>& uids) {
  if (uid.empty() || !uids.insert(uid).second) {
    return invalid(what + " uid '" + uid + "' is empty or occurs twice");
  }
  return {};
}

/// Subtasks within the parallelism, each once.
template <class T>
Status check_subtasks(const std::string& what, const std::vector<T>& items, int parallelism) {
  std::set<int> seen;
  for (const T& item : items) {
    if (item.subtask < 0 || item.subtask >= parallelism || !seen.insert(item.subtask).second) {
      return invalid(what + " has subtask " + std::to_string(item.subtask) +
                     " twice or beyond its parallelism " + std::to_string(parallelism));
    }
  }
  return {};
}

bool is_good_range(const KeyGroupRange& range, int max_parallelism) {
  return range.first >= 0 && range.first <= range.last && range.last < max_parallelism;
}

Status check_subtask(const std::string& what, const SubtaskSnapshot& subtask, int max_parallelism,
                     FileMap& files) {
  int next_group = 0;
  for (const KeyGroupWatermark& entry : subtask.key_group_watermarks) {
    if (!is_good_range(entry.key_groups, max_parallelism) || entry.key_groups.first < next_group) {
      return invalid(what + " has watermarks of key groups out of order or range");
    }
    next_group = entry.key_groups.last + 1;
  }
  for (const StateHandle& handle : subtask.files) {
    WEIR_TRY(add_file(handle.file, files));
    if (handle.key_groups != KeyGroupRange{} &&
        !is_good_range(handle.key_groups, max_parallelism)) {
      return invalid(what + " has a file with key groups out of range: " + handle.file.path);
    }
  }
  std::set<std::string> names;
  for (const ListState& list : subtask.lists) {
    if (!names.insert(list.name).second) {
      return invalid(what + " has list state '" + list.name + "' twice");
    }
  }
  return {};
}

Status check_operators(const Manifest& manifest, FileMap& files) {
  std::set<std::string> uids;
  for (const OperatorSnapshot& item : manifest.operators) {
    const std::string what = "operator " + item.uid;
    WEIR_TRY(add_uid("operator", item.uid, uids));
    if (item.max_parallelism < 1 || item.max_parallelism > kUpperBoundMaxParallelism) {
      return invalid(what + " has max parallelism " + std::to_string(item.max_parallelism));
    }
    WEIR_TRY(check_parallelism(what, item.parallelism, item.max_parallelism));
    WEIR_TRY(check_subtasks(what, item.subtasks, item.parallelism));
    std::set<std::string> names;
    for (const StateSchema& schema : item.schemas) {
      if (!names.insert(schema.name).second) {
        return invalid(what + " has state '" + schema.name + "' twice");
      }
    }
    for (const SubtaskSnapshot& subtask : item.subtasks) {
      WEIR_TRY(check_subtask(what, subtask, item.max_parallelism, files));
    }
  }
  return {};
}

Status check_sources(const Manifest& manifest) {
  std::set<std::string> uids;
  for (const SourceSnapshot& source : manifest.sources) {
    const std::string what = "source " + source.uid;
    WEIR_TRY(add_uid("source", source.uid, uids));
    WEIR_TRY(check_parallelism(what, source.parallelism, kUpperBoundMaxParallelism));
    WEIR_TRY(check_subtasks(what, source.readers, source.parallelism));
    std::set<std::string> splits;
    for (const ReaderSnapshot& reader : source.readers) {
      for (const SourceSplit& split : reader.splits) {
        if (!splits.insert(split.id).second) {
          return invalid(what + " has split '" + split.id + "' in two places");
        }
      }
    }
  }
  return {};
}

Status check_committable(const Manifest& manifest, const SinkSnapshot& sink,
                         const Committable& committable, const std::set<std::string>& sink_files) {
  const CommittableId& id = committable.id;
  // A committable may be older than the last rescale: its subtask is not bound by the parallelism.
  if (id.sink_uid != sink.uid || id.subtask < 0 || id.subtask >= kUpperBoundMaxParallelism ||
      id.checkpoint < 1 || id.checkpoint > manifest.checkpoint || id.attempt < 1 ||
      id.attempt > manifest.attempt || id.incarnation < 0) {
    return invalid("sink " + sink.uid + " has a committable of sink '" + id.sink_uid +
                   "', subtask " + std::to_string(id.subtask) + ", checkpoint " +
                   std::to_string(id.checkpoint) + ", attempt " + std::to_string(id.attempt));
  }
  for (const std::string& file : committable.files) {
    if (!sink_files.contains(file)) {
      return invalid("sink " + sink.uid + " has a committable that needs the unlisted file '" +
                     file + "'");
    }
  }
  return {};
}

Status check_sinks(const Manifest& manifest, FileMap& files) {
  std::set<std::string> uids;
  for (const SinkSnapshot& sink : manifest.sinks) {
    const std::string what = "sink " + sink.uid;
    WEIR_TRY(add_uid("sink", sink.uid, uids));
    WEIR_TRY(check_parallelism(what, sink.parallelism, kUpperBoundMaxParallelism));
    WEIR_TRY(check_subtasks(what, sink.writers, sink.parallelism));
    std::set<std::string> sink_files;
    for (const FileReference& file : sink.files) {
      WEIR_TRY(add_file(file, files));
      if (!sink_files.insert(file.path).second) {
        return invalid(what + " lists file " + file.path + " twice");
      }
    }
    for (const Committable& committable : sink.committables) {
      WEIR_TRY(check_committable(manifest, sink, committable, sink_files));
    }
  }
  return {};
}

Status check_header(const Manifest& m) {
  if (!is_job_id(m.job_id)) {
    return invalid("job id '" + m.job_id + "' is not 32 hexadecimal digits");
  }
  if (m.checkpoint < 1 || m.attempt < 1 || m.incarnation < 0 || m.parent_checkpoint < 0 ||
      m.parent_checkpoint >= m.checkpoint) {
    return invalid("checkpoint " + std::to_string(m.checkpoint) + ", attempt " +
                   std::to_string(m.attempt) + ", incarnation " + std::to_string(m.incarnation) +
                   ", parent " + std::to_string(m.parent_checkpoint) + " cannot be");
  }
  for (const LineageEntry& entry : m.lineage) {
    if (entry.incarnation < 0 || entry.checkpoint < 1 || entry.checkpoint >= m.checkpoint) {
      return invalid("a branch at checkpoint " + std::to_string(entry.checkpoint) +
                     " cannot lie before checkpoint " + std::to_string(m.checkpoint));
    }
  }
  if (m.max_parallelism < 1 || m.max_parallelism > kUpperBoundMaxParallelism) {
    return invalid("max parallelism " + std::to_string(m.max_parallelism) + " is out of range");
  }
  return {};
}

Status check_in_flight(const Manifest& manifest, FileMap& files) {
  std::set<std::pair<std::string, int>> seen;
  for (const InFlightSnapshot& item : manifest.in_flight) {
    const std::string what =
        "what was under way along '" + item.edge + "' to subtask " + std::to_string(item.subtask);
    if (!seen.emplace(item.edge, item.subtask).second) {
      return invalid(what + " occurs twice");
    }
    if (item.sender_parallelism < 1 || item.receiver_parallelism < 1 ||
        item.sender_parallelism > kUpperBoundMaxParallelism ||
        item.receiver_parallelism > kUpperBoundMaxParallelism || item.subtask < 0 ||
        item.subtask >= item.receiver_parallelism) {
      return invalid(what + ": the parallelism cannot be");
    }
    const bool has_file = !item.file.path.empty();
    for (const ChannelSnapshot& channel : item.channels) {
      if (channel.sender < 0 || (channel.element_count > 0 && !has_file)) {
        return invalid(what + ": channel of sender " + std::to_string(channel.sender) +
                       " cannot be");
      }
    }
    if (has_file) {
      WEIR_TRY(add_file(item.file, files));
    }
  }
  return {};
}

Status collect_files(const Manifest& manifest, FileMap& files) {
  WEIR_TRY(check_operators(manifest, files));
  WEIR_TRY(check_in_flight(manifest, files));
  return check_sinks(manifest, files);
}

}  // namespace

Status validate_manifest(const Manifest& manifest) {
  WEIR_TRY(check_header(manifest));
  FileMap files;
  WEIR_TRY(collect_files(manifest, files));
  WEIR_TRY(check_sources(manifest));
  std::set<std::string> edges;
  for (const EdgeSnapshot& edge : manifest.edges) {
    if (!edges.insert(edge.name).second) {
      return invalid("edge '" + edge.name + "' occurs twice");
    }
  }
  const Status balanced = check_edges(manifest.edges);
  return balanced.ok() ? Status() : Status(invalid(balanced.error().message));
}

std::vector<FileReference> files_of(const Manifest& manifest) {
  FileMap files;
  for (const OperatorSnapshot& item : manifest.operators) {
    for (const SubtaskSnapshot& subtask : item.subtasks) {
      for (const StateHandle& handle : subtask.files) {
        files.emplace(handle.file.path, handle.file);
      }
    }
  }
  for (const InFlightSnapshot& item : manifest.in_flight) {
    if (!item.file.path.empty()) {
      files.emplace(item.file.path, item.file);
    }
  }
  for (const SinkSnapshot& sink : manifest.sinks) {
    for (const FileReference& file : sink.files) {
      files.emplace(file.path, file);
    }
  }
  std::vector<FileReference> result;
  result.reserve(files.size());
  for (auto& [path, file] : files) {
    result.push_back(std::move(file));
  }
  return result;
}

std::uint64_t state_size_bytes(const Manifest& manifest) {
  std::uint64_t total = 0;
  for (const FileReference& file : files_of(manifest)) {
    total += file.length_bytes;
  }
  return total;
}

bool is_safe_relative_path(std::string_view path) {
  if (path.empty() || path.size() > kPathBytesMax) {
    return false;
  }
  const bool has_bad_character = std::any_of(path.begin(), path.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '\\';
  });
  if (has_bad_character) {
    return false;
  }
  std::size_t begin = 0;
  while (begin <= path.size()) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") {
      return false;
    }
    begin = end + 1;
  }
  return true;
}

bool is_job_id(std::string_view text) {
  return text.size() == 32 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

std::string_view snapshot_kind_name(SnapshotKind kind) {
  return kind == SnapshotKind::kCheckpoint ? "checkpoint" : "savepoint";
}

}  // namespace weir::checkpoint
