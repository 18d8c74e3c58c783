#include "state/state_file_survey.h"

#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "io/block_file.h"
#include "state/key_group_index.h"
#include "state/state_file_reader.h"

namespace weir::state {
namespace {

/// First word of a block file's footer, in the place of a block's length.
constexpr std::uint32_t kFooterMark = 0xffffffffU;

Error damaged(const std::string& path, std::uint64_t offset, const std::string& what) {
  return Error{ErrorCode::kCorruption, "state file " + path + " is damaged at byte " +
                                           std::to_string(offset) + ": " + what};
}

std::size_t varint_bytes(std::uint64_t value) {
  std::size_t bytes = 1;
  for (; value >= 0x80; value >>= 7) {
    ++bytes;
  }
  return bytes;
}

std::size_t encoded_bytes(const StateSchema& schema, const EncodedEntry& entry, bool is_erased) {
  return sizeof(entry.hash) + entry.key.size() + entry.value.size() +
         (schema.key_size == 0 ? varint_bytes(entry.key.size()) : 0) +
         (schema.value_size == 0 && !is_erased ? varint_bytes(entry.value.size()) : 0);
}

/// The checksum of the whole file says that something is wrong; the blocks say where.
Error locate_damage(FileSystem& files, const std::string& path, Error error) {
  auto blocks = BlockFileReader::open(files, path, kStateFileMagic, kStateFileVersionMax);
  if (!blocks.ok()) {
    return blocks.error();
  }
  for (;;) {
    const auto block = blocks.value().next();
    if (!block.ok()) {
      return block.error();
    }
    if (!block.value().has_value()) {
      return error;  // Whole in itself, but not the file that the manifest means.
    }
  }
}

class GroupSizes {
 public:
  GroupSizes(const StateFileIndex& index) : groups_(index.max_parallelism, index.key_groups) {}

  /// Fails when an entry lies outside the key groups of the file, which a restore would skip.
  Status add(const StateSchema& schema, const EncodedRun& run) {
    std::uint64_t entries = 0;
    WEIR_TRY(for_each_entry(schema, run, groups_, [&](const EncodedEntry& entry) -> Status {
      KeyGroupSize& size = sizes_[groups_.of(entry.hash)];
      size.entries += is_erased_run(run.header) ? 0 : 1;
      size.bytes += encoded_bytes(schema, entry, is_erased_run(run.header));
      ++entries;
      return {};
    }));
    if (entries != run.header.count) {
      return Error{ErrorCode::kCorruption,
                   "state '" + schema.name + "': an entry is outside the file's key groups"};
    }
    return {};
  }

  std::vector<KeyGroupSize> take() {
    std::vector<KeyGroupSize> result;
    for (auto& [group, size] : sizes_) {
      size.key_group = static_cast<int>(group + groups_.first());
      result.push_back(size);
    }
    return result;
  }

 private:
  KeyGroupIndex groups_;
  std::map<std::uint32_t, KeyGroupSize> sizes_;
};

}  // namespace

Result<StateFileIndex> read_state_file_index(FileSystem& files, const std::string& path) {
  WEIR_ASSIGN(const BlockFileReader blocks,
              BlockFileReader::open(files, path, kStateFileMagic, kStateFileVersionMax));
  WEIR_ASSIGN(const std::unique_ptr<ReadableFile> file, files.open(path));
  std::uint64_t offset = kFileHeaderBytes;
  std::string head;  // length, checksum and the first byte of the payload, which tells its kind
  for (;;) {
    const Status read = file->read_at(offset, kBlockHeaderBytes + 1, head);
    if (!read.ok()) {
      return damaged(path, offset, "the file ends before its index");
    }
    std::uint32_t length = 0;
    std::memcpy(&length, head.data(), sizeof length);
    if (length == kFooterMark) {
      return damaged(path, offset, "the file has no index");
    }
    if (length > 0 && static_cast<std::uint8_t>(head[kBlockHeaderBytes]) == kIndexBlock) {
      break;
    }
    offset += kBlockHeaderBytes + length;
  }
  WEIR_ASSIGN(const std::string payload, blocks.read_at(offset));
  auto index = StateFileIndex::decode(payload, blocks.version());
  return index.ok() ? index : Result<StateFileIndex>(damaged(path, offset, index.error().message));
}

Result<StateFileSurvey> survey_state_file(FileSystem& files, const RestoreFile& file) {
  auto reader = StateFileReader::open(files, file);
  if (!reader.ok()) {
    return reader.error().code == ErrorCode::kCorruption
               ? locate_damage(files, file.path, reader.error())
               : reader.error();
  }
  StateFileSurvey survey;
  survey.index = reader.value().index();
  GroupSizes sizes(survey.index);
  for (std::uint32_t state = 0; state < survey.index.states.size(); ++state) {
    const StateSchema& schema = survey.index.states[state].schema;
    WEIR_TRY(reader.value().read_state(state, survey.index.key_groups, [&](const EncodedRun& run) {
      return sizes.add(schema, run);
    }));
  }
  survey.key_groups = sizes.take();
  return survey;
}

}  // namespace weir::state
