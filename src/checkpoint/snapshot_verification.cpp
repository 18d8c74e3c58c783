#include "checkpoint/snapshot_verification.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "checkpoint/store.h"
#include "io/block_file.h"
#include "state/state_file_survey.h"

namespace weir::checkpoint {
namespace {

/// What the manifest says of a keyed state file.
struct StateFileClaim {
  const OperatorSnapshot* op = nullptr;
  const StateHandle* handle = nullptr;
};

/// Readers say which byte is wrong in their messages: "... at byte 4711 ...".
std::optional<std::uint64_t> byte_named_in(std::string_view message) {
  constexpr std::string_view mark = "at byte ";
  const std::size_t at = message.rfind(mark);
  if (at == std::string_view::npos) {
    return std::nullopt;
  }
  std::uint64_t offset = 0;
  const char* const begin = message.data() + at + mark.size();
  const auto [end, failure] = std::from_chars(begin, message.data() + message.size(), offset);
  return failure == std::errc() && end != begin ? std::optional(offset) : std::nullopt;
}

class Verifier {
 public:
  Verifier(FileSystem& files, const SnapshotLocation& location)
      : files_(files), location_(location) {}

  SnapshotVerification run() {
    auto manifest = CheckpointStore::load_from(files_, location_.directory);
    ++result_.files;
    if (const auto size = files_.size_bytes(location_.manifest_path); size.ok()) {
      result_.bytes += size.value();
    }
    if (!manifest.ok()) {
      add_fault(location_.manifest_path, manifest.error());
      return std::move(result_);
    }
    result_.manifest = std::move(manifest).value();
    const auto claims = claims_of(*result_.manifest);
    const auto logs = channels_of(*result_.manifest);
    for (const FileReference& file : files_of(*result_.manifest)) {
      const auto claim = claims.find(file.path);
      const auto log = logs.find(file.path);
      ++result_.files;
      if (claim != claims.end()) {
        check_state_file(file, claim->second);
      } else if (log != logs.end()) {
        check_channel_log(file, log->second);
      } else {
        check_bytes(file);
      }
    }
    for (const OperatorSnapshot& op : result_.manifest->operators) {
      for (const SubtaskSnapshot& subtask : op.subtasks) {
        check_chain(subtask);
      }
    }
    return std::move(result_);
  }

 private:
  static std::map<std::string, StateFileClaim> claims_of(const Manifest& manifest) {
    std::map<std::string, StateFileClaim> claims;
    for (const OperatorSnapshot& op : manifest.operators) {
      for (const SubtaskSnapshot& subtask : op.subtasks) {
        for (const StateHandle& handle : subtask.files) {
          if (is_state_file(handle)) {
            claims[handle.file.path] = {&op, &handle};
          }
        }
      }
    }
    return claims;
  }

  /// Where the channels of each channel log begin.
  static std::map<std::string, std::set<std::uint64_t>> channels_of(const Manifest& manifest) {
    std::map<std::string, std::set<std::uint64_t>> offsets;
    for (const InFlightSnapshot& item : manifest.in_flight) {
      for (const ChannelSnapshot& channel : item.channels) {
        if (channel.element_count > 0) {
          offsets[item.file.path].insert(channel.offset);
        }
      }
    }
    return offsets;
  }

  /// Each file builds on the one before it; together they hold every key group.
  void check_chain(const SubtaskSnapshot& subtask) {
    CheckpointId last = 0;
    std::vector<KeyGroupRange> whole;
    for (const StateHandle& handle : subtask.files) {
      const auto link = links_.find(handle.file.path);
      if (link == links_.end()) {
        return;  // not a state file, or its own fault is enough
      }
      if (whole.empty()) {
        last = link->second.since;  // Files that nothing is needed of any more were left out.
      }
      if (link->second.since != last) {
        result_.faults.push_back({path_of(handle.file), std::nullopt,
                                  "builds on checkpoint " + std::to_string(link->second.since) +
                                      ", the file before it is of checkpoint " +
                                      std::to_string(last)});
        return;
      }
      last = link->second.checkpoint;
      whole.push_back(link->second.whole);
    }
    if (!whole.empty() && !state::are_whole(whole, subtask.files.front().key_groups)) {
      const StateHandle& first = subtask.files.front();
      result_.faults.push_back({path_of(first.file), std::nullopt,
                                "builds on checkpoint " +
                                    std::to_string(links_.at(first.file.path).since) +
                                    ", whose file the manifest does not name"});
    }
  }

  std::string path_of(const FileReference& file) const {
    return join_path(location_.root, file.path);
  }

  void add_fault(const std::string& path, const Error& error) {
    const bool is_missing = error.code == ErrorCode::kNotFound;
    result_.faults.push_back(
        {path, byte_named_in(error.message), is_missing ? "the file is missing" : error.message});
  }

  /// Length and checksum: all that is known of files whose form belongs to others.
  void check_bytes(const FileReference& file) {
    const std::string path = path_of(file);
    const auto found = summarize_file(files_, path);
    if (!found.ok()) {
      add_fault(path, found.error());
      return;
    }
    result_.bytes += found.value().length_bytes;
    if (found.value().length_bytes != file.length_bytes) {
      SnapshotFault fault{path, std::nullopt, ""};
      fault.offset = std::min(found.value().length_bytes, file.length_bytes);
      fault.what = "has " + std::to_string(found.value().length_bytes) +
                   " bytes, the manifest says " + std::to_string(file.length_bytes);
      result_.faults.push_back(std::move(fault));
    } else if (found.value().crc32c != file.crc32c) {
      result_.faults.push_back({path, std::nullopt,
                                "has CRC32C " + std::to_string(found.value().crc32c) +
                                    ", the manifest says " + std::to_string(file.crc32c) +
                                    "; the file has no inner checksums to say where"});
    }
  }

  /// Every block, and that the channels are the blocks. Records have a form of their own.
  void check_channel_log(const FileReference& file, const std::set<std::uint64_t>& channels) {
    const std::string path = path_of(file);
    std::set<std::uint64_t> blocks;
    const Status walked = walk_blocks(path, blocks);
    if (!walked.ok()) {
      add_fault(path, walked.error());
      return;
    }
    if (blocks != channels) {
      result_.faults.push_back({path, std::nullopt, "the manifest names other channels"});
    }
    check_bytes(file);
  }

  Status walk_blocks(const std::string& path, std::set<std::uint64_t>& offsets) const {
    WEIR_ASSIGN(BlockFileReader reader,
                BlockFileReader::open(files_, path, kChannelLogMagic, kChannelLogVersion));
    std::uint64_t offset = state::kFileHeaderBytes;
    for (;;) {
      WEIR_ASSIGN(const std::optional<std::string_view> block, reader.next());
      if (!block.has_value()) {
        return {};
      }
      offsets.insert(offset);
      offset += state::kBlockHeaderBytes + block->size();
    }
  }

  void check_state_file(const FileReference& file, const StateFileClaim& claim) {
    const std::string path = path_of(file);
    const auto survey = state::survey_state_file(files_, {path, {file.length_bytes, file.crc32c}});
    if (const auto size = files_.size_bytes(path); size.ok()) {
      result_.bytes += size.value();
    }
    if (!survey.ok()) {
      add_fault(path, survey.error());
      return;
    }
    const state::StateFileIndex& index = survey.value().index;
    result_.entries += index.entries;
    links_[file.path] = {index.checkpoint, index.since, index.whole};
    if (index.max_parallelism != claim.op->max_parallelism) {
      result_.faults.push_back({path, std::nullopt,
                                "was written with max parallelism " +
                                    std::to_string(index.max_parallelism) + ", the manifest says " +
                                    std::to_string(claim.op->max_parallelism)});
    }
    if (index.key_groups != claim.handle->key_groups) {
      result_.faults.push_back({path, std::nullopt,
                                "holds key groups " + std::to_string(index.key_groups.first) +
                                    " to " + std::to_string(index.key_groups.last) +
                                    ", the manifest says " +
                                    std::to_string(claim.handle->key_groups.first) + " to " +
                                    std::to_string(claim.handle->key_groups.last)});
    }
  }

  FileSystem& files_;
  const SnapshotLocation& location_;
  SnapshotVerification result_;
  struct Link {
    CheckpointId checkpoint;
    CheckpointId since;
    KeyGroupRange whole;
  };
  std::map<std::string, Link> links_;  ///< of whole state files, by path
};

}  // namespace

SnapshotVerification verify_snapshot(FileSystem& files, const SnapshotLocation& location) {
  return Verifier(files, location).run();
}

}  // namespace weir::checkpoint
