#include "state/rocksdb/rocks_index.h"

#include <limits>
#include <optional>
#include <utility>

#include "weir/codec.h"

namespace weir::state {
namespace {

void put_text(Encoder& out, std::string_view text) {
  out.varint(text.size());
  out.bytes(text.data(), text.size());
}
std::string text_from(Decoder& in) { return std::string(in.view(in.count())); }

void put_range(Encoder& out, KeyGroupRange range) {
  out.varint(static_cast<std::uint64_t>(range.first));
  out.varint(static_cast<std::uint64_t>(range.last));
}
KeyGroupRange range_from(Decoder& in) {
  const std::uint64_t first = in.varint();
  const std::uint64_t last = in.varint();
  if (last >= static_cast<std::uint64_t>(kUpperBoundMaxParallelism) || first > last) {
    in.fail();
    return {0, 0};
  }
  return {static_cast<int>(first), static_cast<int>(last)};
}

std::uint32_t u32_from(Decoder& in) {
  const std::uint64_t value = in.varint();
  if (value > std::numeric_limits<std::uint32_t>::max()) {
    in.fail();
  }
  return static_cast<std::uint32_t>(value);
}

void put_state(Encoder& out, const RocksIndex::State& state) {
  out.raw(state.schema.kind);
  put_text(out, state.schema.name);
  put_text(out, state.schema.key_schema);
  put_text(out, state.schema.value_schema);
  out.varint(state.schema.key_size);
  out.varint(state.schema.value_size);
  out.raw(state.layout);
  out.varint(state.families.size());
  for (const RocksIndex::Family& family : state.families) {
    put_text(out, family.name);
    put_range(out, family.key_groups);
  }
  out.varint(state.namespaces.size());
  for (const RocksIndex::Namespace& space : state.namespaces) {
    out.raw(space.ns);
    out.varint(space.groups.size());
    for (const GroupCounts::Count& count : space.groups) {
      out.varint(count.key_group);
      out.varint(count.entries);
    }
  }
}

/// Families and namespaces are to be in order, and in the key groups of the file.
RocksIndex::State state_from(Decoder& in, KeyGroupRange key_groups) {
  RocksIndex::State state;
  state.schema.kind = in.raw<StateKind>();
  state.schema.name = text_from(in);
  state.schema.key_schema = text_from(in);
  state.schema.value_schema = text_from(in);
  state.schema.key_size = u32_from(in);
  state.schema.value_size = u32_from(in);
  state.layout = in.raw<RocksLayout>();
  if (state.layout > RocksLayout::kMapEntries ||
      (state.layout == RocksLayout::kTimersByTime && state.schema.kind != StateKind::kTimers) ||
      (state.layout == RocksLayout::kMapEntries && state.schema.kind != StateKind::kTable)) {
    in.fail();
  }
  int next = key_groups.first;
  for (std::size_t n = in.count(); n > 0 && in.ok(); --n) {
    RocksIndex::Family family{text_from(in), {}};
    family.key_groups = range_from(in);
    if (family.key_groups.first != next || family.key_groups.last > key_groups.last) {
      in.fail();
    }
    next = family.key_groups.last + 1;
    state.families.push_back(std::move(family));
  }
  if (next != key_groups.last + 1 ||
      (state.schema.kind != StateKind::kTable && state.schema.kind != StateKind::kTimers)) {
    in.fail();
  }
  for (std::size_t n = in.count(); n > 0 && in.ok(); --n) {
    RocksIndex::Namespace space;
    space.ns = in.raw<StateNamespace>();
    for (std::size_t m = in.count(); m > 0 && in.ok(); --m) {
      const std::uint32_t group = u32_from(in);
      const std::uint64_t entries = in.varint();
      if (group > static_cast<std::uint32_t>(key_groups.last) ||
          !key_groups.contains(static_cast<int>(group)) ||
          (!space.groups.empty() && group <= space.groups.back().key_group)) {
        in.fail();
      }
      space.groups.push_back({group, entries});
    }
    if (!state.namespaces.empty() && space.ns <= state.namespaces.back().ns) {
      in.fail();
    }
    state.namespaces.push_back(std::move(space));
  }
  return state;
}

/// No path, and what RocksDB calls its files.
bool is_table_name(std::string_view name) {
  return name.size() > 4 && name.size() < 64 && name.ends_with(".sst") &&
         name.find_first_not_of("0123456789") == name.size() - 4;
}
bool is_manifest_name(std::string_view name) {
  constexpr std::string_view prefix = "MANIFEST-";
  return name.starts_with(prefix) && name.size() > prefix.size() && name.size() < 64 &&
         name.find_first_not_of("0123456789", prefix.size()) == std::string_view::npos;
}

}  // namespace

std::string RocksIndex::encode() const {
  std::string bytes;
  Encoder out(bytes);
  put_text(out, owner);
  out.varint(static_cast<std::uint64_t>(max_parallelism));
  put_range(out, key_groups);
  out.varint(static_cast<std::uint64_t>(checkpoint));
  out.varint(states.size());
  for (const State& state : states) {
    put_state(out, state);
  }
  out.varint(tables.size());
  for (const Table& table : tables) {
    put_text(out, table.name);
    out.varint(table.length_bytes);
    out.raw(table.crc32c);
  }
  put_text(out, manifest_name);
  put_text(out, manifest);
  put_text(out, current);
  return bytes;
}

Result<RocksIndex> RocksIndex::decode(std::string_view bytes) {
  Decoder in(bytes);
  RocksIndex index;
  index.owner = text_from(in);
  const std::uint64_t max_parallelism = in.varint();
  index.key_groups = range_from(in);
  if (max_parallelism < 1 ||
      max_parallelism > static_cast<std::uint64_t>(kUpperBoundMaxParallelism) ||
      index.key_groups.last >= static_cast<int>(max_parallelism)) {
    in.fail();
  }
  index.max_parallelism = static_cast<int>(max_parallelism);
  index.checkpoint = static_cast<CheckpointId>(in.varint());
  for (std::size_t n = in.count(); n > 0 && in.ok(); --n) {
    index.states.push_back(state_from(in, index.key_groups));
  }
  for (std::size_t n = in.count(); n > 0 && in.ok(); --n) {
    Table table{text_from(in), 0, 0};
    table.length_bytes = in.varint();
    table.crc32c = in.raw<std::uint32_t>();
    if (!is_table_name(table.name)) {
      in.fail();
    }
    index.tables.push_back(std::move(table));
  }
  index.manifest_name = text_from(in);
  index.manifest = text_from(in);
  index.current = text_from(in);
  if (!in.exhausted() || !is_manifest_name(index.manifest_name) ||
      index.current != index.manifest_name + "\n") {
    return Error{ErrorCode::kCorruption, "malformed index of RocksDB files"};
  }
  return index;
}

Result<FileSummary> write_rocks_index(FileSystem& files, const std::string& path,
                                      const RocksIndex& index) {
  WEIR_ASSIGN(BlockFileWriter writer,
              BlockFileWriter::create(files, path, kRocksIndexMagic, kRocksIndexVersion));
  WEIR_TRY(writer.append(index.encode()));
  return writer.finish();
}

Result<RocksIndex> read_rocks_index(FileSystem& files, const RestoreFile& file) {
  const auto damaged = [&](const std::string& what) {
    return Error{ErrorCode::kCorruption, "state file " + file.path + ": " + what};
  };
  WEIR_ASSIGN(const FileSummary actual, summarize_file(files, file.path));
  if (actual.length_bytes != file.expected.length_bytes || actual.crc32c != file.expected.crc32c) {
    return damaged("has " + std::to_string(actual.length_bytes) + " bytes with CRC32C " +
                   std::to_string(actual.crc32c) + ", the manifest says " +
                   std::to_string(file.expected.length_bytes) + " bytes with " +
                   std::to_string(file.expected.crc32c));
  }
  WEIR_ASSIGN(BlockFileReader blocks,
              BlockFileReader::open(files, file.path, kRocksIndexMagic, kRocksIndexVersion));
  WEIR_ASSIGN(const std::optional<std::string_view> block, blocks.next());
  if (!block.has_value()) {
    return damaged("is empty");
  }
  Result<RocksIndex> index = RocksIndex::decode(*block);
  if (!index.ok()) {
    return damaged(index.error().message);
  }
  WEIR_ASSIGN(const std::optional<std::string_view> more, blocks.next());
  if (more.has_value()) {
    return damaged("a block follows the index");
  }
  return index;
}

}  // namespace weir::state
