#include "state/state_file_reader.h"

#include <cstring>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "state/block_compression.h"
#include "weir/check.h"

namespace weir::state {
namespace {

/// What the blocks hold, to be compared with what the index claims.
struct Found {
  struct State {
    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;
    std::uint64_t erased = 0;
    std::uint64_t erased_bytes = 0;
  };
  std::map<std::uint32_t, State> states;
  std::vector<StateFileIndex::Block> blocks;
  std::uint64_t entries = 0;
};

bool summarize_block(std::string_view payload, std::uint64_t offset, Found& found) {
  EntryBlockHeader header;
  if (payload.size() < sizeof(header)) {
    return false;
  }
  std::memcpy(&header, payload.data(), sizeof(header));
  StateFileIndex::Block block;
  block.offset = offset;
  block.payload_bytes = static_cast<std::uint32_t>(payload.size());
  block.entries = header.entries;
  std::string_view rest = payload.substr(sizeof(header));
  std::uint64_t entries = 0;
  while (!rest.empty()) {
    EncodedRun run;
    if (!next_run(rest, run)) {
      return false;
    }
    Found::State& state = found.states[state_number(run.header)];
    if (is_erased_run(run.header)) {
      state.erased += run.header.count;
      state.erased_bytes += run.header.bytes;
    } else {
      state.entries += run.header.count;
      state.bytes += run.header.bytes;
      found.entries += run.header.count;
    }
    entries += run.header.count;
  }
  found.blocks.push_back(block);
  return entries == header.entries;
}

/// What differs between index and blocks, or null.
const char* compare(const StateFileIndex& index, const Found& found) {
  if (index.blocks.size() != found.blocks.size()) {
    return "the index has another number of blocks";
  }
  for (std::size_t i = 0; i < found.blocks.size(); ++i) {
    const StateFileIndex::Block& a = index.blocks[i];
    const StateFileIndex::Block& b = found.blocks[i];
    if (a.offset != b.offset || a.payload_bytes != b.payload_bytes || a.entries != b.entries) {
      return "the index describes another block";
    }
  }
  if (!found.states.empty() && found.states.rbegin()->first >= index.states.size()) {
    return "a run belongs to a state that the index does not name";
  }
  for (std::uint32_t i = 0; i < index.states.size(); ++i) {
    const StateFileIndex::State& claimed = index.states[i];
    const auto at = found.states.find(i);
    const Found::State state = at == found.states.end() ? Found::State{} : at->second;
    if (claimed.entries != state.entries || claimed.erased != state.erased) {
      return "the index counts other entries of a state";
    }
    if (index.since == 0 ? claimed.live != claimed.entries : claimed.live < claimed.entries) {
      return "the index counts fewer entries of a state than there are, or more";
    }
    if (index.since == 0 && (claimed.erased != 0 || !claimed.dropped.empty())) {
      return "erased keys in a file that builds on none";
    }
    const std::uint64_t least = state.entries * claimed.schema.entry_bytes_min();
    const std::uint64_t least_erased = state.erased * claimed.schema.erased_bytes_min();
    if ((claimed.schema.has_fixed_entries() ? state.bytes != least : state.bytes < least) ||
        (claimed.schema.key_size != 0 ? state.erased_bytes != least_erased
                                      : state.erased_bytes < least_erased)) {
      return "entries of a state have another size than its schema";
    }
  }
  return index.entries == found.entries ? nullptr : "the index counts other entries in total";
}

}  // namespace

Error StateFileReader::damaged(std::string_view what) const {
  return Error{ErrorCode::kCorruption, "state file " + path_ + ": " + std::string(what)};
}

Result<StateFileReader> StateFileReader::open(FileSystem& files, const RestoreFile& file) {
  Result<StateFileReader> reader = open_and_scan(files, file.path);
  FileSummary actual;
  if (reader.ok()) {
    actual = reader.value().blocks_.summary();
  } else {
    // Rather than what is wrong inside: that it is not the file that was written.
    WEIR_ASSIGN(actual, summarize_file(files, file.path));
  }
  if (actual.length_bytes != file.expected.length_bytes || actual.crc32c != file.expected.crc32c) {
    return Error{ErrorCode::kCorruption,
                 "state file " + file.path + ": has " + std::to_string(actual.length_bytes) +
                     " bytes with CRC32C " + std::to_string(actual.crc32c) +
                     ", the manifest says " + std::to_string(file.expected.length_bytes) +
                     " bytes with " + std::to_string(file.expected.crc32c)};
  }
  return reader;
}

Result<StateFileReader> StateFileReader::open_and_scan(FileSystem& files, const std::string& path) {
  WEIR_ASSIGN(BlockFileReader blocks,
              BlockFileReader::open(files, path, kStateFileMagic, kStateFileVersionMax));
  StateFileReader reader(std::move(blocks), path);
  WEIR_TRY(reader.scan());
  return reader;
}

Status StateFileReader::scan() {
  Found found;
  std::vector<std::uint64_t> places;        // of the entry blocks in the file
  std::uint64_t offset = kFileHeaderBytes;  // in the file
  std::uint64_t whole = kFileHeaderBytes;   // the same if nothing were compressed
  bool has_index = false;
  for (;;) {
    WEIR_ASSIGN(const std::optional<std::string_view> payload, blocks_.next());
    if (!payload.has_value()) {
      break;
    }
    if (has_index) {
      return damaged("a block follows the index");
    }
    if (!payload->empty() && static_cast<std::uint8_t>(payload->front()) == kIndexBlock) {
      Result<StateFileIndex> index = StateFileIndex::decode(*payload, blocks_.version());
      if (!index.ok()) {
        return damaged(index.error().message);
      }
      index_ = std::move(index).value();
      has_index = true;
    } else {
      const auto entries = entries_of(*payload);
      if (!entries.has_value() || !summarize_block(entries->bytes, whole, found)) {
        return damaged("malformed block at byte " + std::to_string(offset));
      }
      places.push_back(offset);
      whole += kBlockHeaderBytes + entries->bytes.size();
    }
    offset += kBlockHeaderBytes + payload->size();
  }
  if (!has_index) {
    return damaged("it has no index");
  }
  if (const char* difference = compare(index_, found)) {
    return damaged(difference);
  }
  for (std::size_t i = 0; i < places.size(); ++i) {
    index_.blocks[i].offset = places[i];
  }
  return {};
}

std::optional<StateFileReader::Entries> StateFileReader::entries_of(
    std::string_view payload) const {
  Entries entries{payload, {}};
  if (blocks_.version() >= kFirstCompressedStateFileVersion && is_compressed(payload)) {
    auto whole = decompress_block(payload);
    if (!whole.has_value()) {
      return std::nullopt;
    }
    entries.owned = std::make_unique<std::string>(*std::move(whole));
    entries.bytes = *entries.owned;
  }
  const bool is_sound =
      !entries.bytes.empty() && static_cast<std::uint8_t>(entries.bytes.front()) == kEntryBlock;
  return is_sound ? std::optional(std::move(entries)) : std::nullopt;
}

Status StateFileReader::read_state(std::uint32_t state, KeyGroupRange key_groups,
                                   const RunVisitor& visit) const {
  for (const StateFileIndex::Block& block : index_.blocks) {
    if (state < block.first_state || state > block.last_state ||
        block.key_groups.first > key_groups.last || block.key_groups.last < key_groups.first) {
      continue;
    }
    WEIR_ASSIGN(const std::string payload, blocks_.read_at(block.offset));
    const auto entries = entries_of(payload);
    if (!entries.has_value() || entries->bytes.size() != block.payload_bytes) {
      return damaged("a block changed while it was read");
    }
    std::string_view rest = entries->bytes.substr(sizeof(EntryBlockHeader));
    while (!rest.empty()) {
      EncodedRun run;
      if (!next_run(rest, run)) {
        return damaged("malformed run in the block at byte " + std::to_string(block.offset));
      }
      const bool is_mixed = run.header.key_group == kMixedGroups;
      if (state_number(run.header) != state ||
          (!is_mixed && !key_groups.contains(static_cast<int>(run.header.key_group)))) {
        continue;
      }
      const Status status = visit(run);
      if (!status.ok()) {
        return status.error().with_context("state file " + path_ + ", block at byte " +
                                           std::to_string(block.offset));
      }
    }
  }
  return {};
}

Status for_each_entry(const StateSchema& schema, const EncodedRun& run, const KeyGroupIndex& wanted,
                      const std::function<Status(const EncodedEntry&)>& visit) {
  std::string_view rest = run.entries;
  for (std::uint32_t i = 0; i < run.header.count; ++i) {
    EncodedEntry entry;
    if (!next_entry(schema, is_erased_run(run.header), rest, entry)) {
      return Error{ErrorCode::kCorruption, "state '" + schema.name + "': malformed entry"};
    }
    const std::uint32_t group = wanted.of(entry.hash);
    if (run.header.key_group != kMixedGroups && group + wanted.first() != run.header.key_group) {
      return Error{ErrorCode::kCorruption,
                   "state '" + schema.name + "': an entry is in the wrong key group"};
    }
    if (group < wanted.count()) {
      WEIR_TRY(visit(entry));
    }
  }
  if (!rest.empty()) {
    return Error{ErrorCode::kCorruption, "state '" + schema.name + "': bytes after the last entry"};
  }
  return {};
}

Result<std::string_view> fixed_entries(const StateSchema& schema, const EncodedRun& run,
                                       const KeyGroupIndex& wanted, std::string& scratch) {
  const std::size_t entry_bytes = schema.entry_bytes_min();
  if (run.entries.size() != run.header.count * entry_bytes) {
    return Error{ErrorCode::kCorruption, "state '" + schema.name + "': malformed entry"};
  }
  const bool is_mixed = run.header.key_group == kMixedGroups;
  std::size_t wanted_count = 0;
  for (const char* at = run.entries.data(); at != run.entries.data() + run.entries.size();
       at += entry_bytes) {
    std::uint32_t hash = 0;
    std::memcpy(&hash, at, sizeof(hash));
    const std::uint32_t group = wanted.of(hash);
    if (!is_mixed && group + wanted.first() != run.header.key_group) {
      return Error{ErrorCode::kCorruption,
                   "state '" + schema.name + "': an entry is in the wrong key group"};
    }
    wanted_count += group < wanted.count() ? 1 : 0;
  }
  if (wanted_count == run.header.count) {
    return run.entries;
  }
  scratch.clear();
  for (std::size_t at = 0; at < run.entries.size() && wanted_count != 0; at += entry_bytes) {
    std::uint32_t hash = 0;
    std::memcpy(&hash, run.entries.data() + at, sizeof(hash));
    if (wanted.of(hash) < wanted.count()) {
      scratch.append(run.entries, at, entry_bytes);
    }
  }
  return std::string_view(scratch);
}

}  // namespace weir::state
