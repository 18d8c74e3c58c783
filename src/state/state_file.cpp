#include "state/state_file.h"

#include <algorithm>
#include <cstring>

#include "weir/codec.h"

namespace weir::state {
namespace {

void put_text(Encoder& out, const std::string& text) {
  out.varint(text.size());
  out.bytes(text.data(), text.size());
}

std::string get_text(Decoder& in) { return std::string(in.view(in.count())); }

std::uint32_t get_u32(Decoder& in) {
  const std::uint64_t value = in.varint();
  if (value > std::numeric_limits<std::uint32_t>::max()) {
    in.fail();
    return 0;
  }
  return static_cast<std::uint32_t>(value);
}

/// A key group range inside 0..max_parallelism-1.
KeyGroupRange get_range(Decoder& in, int max_parallelism) {
  const std::uint32_t first = get_u32(in);
  const std::uint32_t last = get_u32(in);
  if (first > last || last >= static_cast<std::uint32_t>(max_parallelism)) {
    in.fail();
    return {};
  }
  return {static_cast<int>(first), static_cast<int>(last)};
}

void put_range(Encoder& out, KeyGroupRange range) {
  out.varint(static_cast<std::uint64_t>(range.first));
  out.varint(static_cast<std::uint64_t>(range.last));
}

/// None, or a part of the file's key groups.
KeyGroupRange get_whole(Decoder& in, KeyGroupRange key_groups) {
  const std::uint32_t first = get_u32(in);
  const std::uint32_t size = get_u32(in);
  if (size == 0) {
    return {};
  }
  const std::uint64_t last = std::uint64_t{first} + size - 1;
  if (first < static_cast<std::uint32_t>(key_groups.first) ||
      last > static_cast<std::uint64_t>(key_groups.last)) {
    in.fail();
    return {};
  }
  return {static_cast<int>(first), static_cast<int>(last)};
}

StateFileIndex::State get_state(Decoder& in, std::uint32_t version) {
  StateFileIndex::State state;
  StateSchema& schema = state.schema;
  const auto kind = in.raw<std::uint8_t>();
  if (kind != static_cast<std::uint8_t>(StateKind::kTable) &&
      kind != static_cast<std::uint8_t>(StateKind::kTimers)) {
    in.fail();
  }
  schema.kind = static_cast<StateKind>(kind);
  schema.name = get_text(in);
  schema.key_schema = get_text(in);
  schema.value_schema = get_text(in);
  schema.key_size = get_u32(in);
  schema.value_size = get_u32(in);
  if (schema.key_size > kItemBytesMax || schema.value_size > kItemBytesMax) {
    in.fail();
  }
  state.entries = in.varint();
  state.live = state.entries;
  if (version >= 2) {
    state.live = in.varint();
    state.erased = in.varint();
    for (std::size_t left = in.count(); left > 0 && in.ok(); --left) {
      state.dropped.push_back(in.raw<StateNamespace>());
    }
  }
  return state;
}

StateFileIndex::Block get_block(Decoder& in, const StateFileIndex& index) {
  StateFileIndex::Block block;
  block.offset = in.varint();
  block.payload_bytes = get_u32(in);
  block.entries = get_u32(in);
  block.first_state = get_u32(in);
  block.last_state = get_u32(in);
  block.key_groups = get_range(in, index.max_parallelism);
  if (block.first_state > block.last_state || block.last_state >= index.states.size() ||
      block.key_groups.first < index.key_groups.first ||
      block.key_groups.last > index.key_groups.last) {
    in.fail();
  }
  return block;
}

bool take_item(std::string_view& bytes, std::uint32_t fixed_size, std::string_view& item) {
  Decoder in(bytes);
  item = in.view(fixed_size != 0 ? fixed_size : in.count());
  if (!in.ok()) {
    return false;
  }
  bytes.remove_prefix(bytes.size() - in.remaining());
  return true;
}

}  // namespace

StateSchema StateSchema::of(StateKind kind, std::string name, const TypeOps& key,
                            const TypeOps& value) {
  const auto fixed_size = [](const TypeOps& ops) {
    return static_cast<std::uint32_t>(ops.encodes_raw ? ops.size : 0);
  };
  return {kind, std::move(name), key.schema(), value.schema(), fixed_size(key), fixed_size(value)};
}

std::size_t StateSchema::entry_bytes_min() const {
  return sizeof(std::uint32_t) + (key_size == 0 ? 1 : key_size) +
         (value_size == 0 ? 1 : value_size);
}

std::size_t StateSchema::erased_bytes_min() const {
  return sizeof(std::uint32_t) + (key_size == 0 ? 1 : key_size);
}

std::string StateFileIndex::encode() const {
  std::string bytes;
  Encoder out(bytes);
  out.raw(kIndexBlock);
  put_text(out, owner);
  out.varint(static_cast<std::uint64_t>(max_parallelism));
  put_range(out, key_groups);
  out.varint(static_cast<std::uint64_t>(checkpoint));
  out.varint(static_cast<std::uint64_t>(since));
  out.varint(static_cast<std::uint64_t>(whole.size() == 0 ? 0 : whole.first));
  out.varint(static_cast<std::uint64_t>(whole.size()));
  out.varint(states.size());
  for (const State& state : states) {
    out.raw(static_cast<std::uint8_t>(state.schema.kind));
    put_text(out, state.schema.name);
    put_text(out, state.schema.key_schema);
    put_text(out, state.schema.value_schema);
    out.varint(state.schema.key_size);
    out.varint(state.schema.value_size);
    out.varint(state.entries);
    out.varint(state.live);
    out.varint(state.erased);
    out.varint(state.dropped.size());
    for (const StateNamespace ns : state.dropped) {
      out.raw(ns);
    }
  }
  out.varint(blocks.size());
  for (const Block& block : blocks) {
    out.varint(block.offset);
    out.varint(block.payload_bytes);
    out.varint(block.entries);
    out.varint(block.first_state);
    out.varint(block.last_state);
    put_range(out, block.key_groups);
  }
  out.varint(entries);
  return bytes;
}

Result<StateFileIndex> StateFileIndex::decode(std::string_view payload, std::uint32_t version) {
  Decoder in(payload);
  StateFileIndex index;
  if (in.raw<std::uint8_t>() != kIndexBlock) {
    return Error{ErrorCode::kCorruption, "the last block is not an index"};
  }
  index.owner = get_text(in);
  const std::uint32_t max_parallelism = get_u32(in);
  if (max_parallelism == 0 || max_parallelism > kUpperBoundMaxParallelism) {
    in.fail();
  } else {
    index.max_parallelism = static_cast<int>(max_parallelism);
    index.key_groups = get_range(in, index.max_parallelism);
  }
  if (version >= 2) {
    index.checkpoint = static_cast<CheckpointId>(in.varint());
    index.since = static_cast<CheckpointId>(in.varint());
    if (index.checkpoint < 0 || index.since < 0 ||
        (index.since != 0 && index.since >= index.checkpoint)) {
      in.fail();
    }
  }
  if (version >= 3) {
    index.whole = get_whole(in, index.key_groups);
  } else if (index.since == 0) {
    index.whole = index.key_groups;
  }
  if (index.since == 0 && index.whole != index.key_groups) {
    in.fail();
  }
  // count() bounds both numbers by the bytes there are, so that neither makes us allocate much.
  const std::size_t states = in.count();
  for (std::size_t i = 0; i < states && in.ok(); ++i) {
    index.states.push_back(get_state(in, version));
  }
  const std::size_t blocks = in.count();
  for (std::size_t i = 0; i < blocks && in.ok(); ++i) {
    index.blocks.push_back(get_block(in, index));
  }
  index.entries = in.varint();
  if (!in.exhausted()) {
    return Error{ErrorCode::kCorruption, "the index is malformed"};
  }
  for (std::size_t i = 0; i < index.states.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const StateSchema& a = index.states[i].schema;
      const StateSchema& b = index.states[j].schema;
      if (a.kind == b.kind && a.name == b.name) {
        return Error{ErrorCode::kCorruption, "the index names state '" + a.name + "' twice"};
      }
    }
  }
  return index;
}

bool are_whole(const std::vector<KeyGroupRange>& whole, KeyGroupRange key_groups) {
  for (int group = key_groups.first; group <= key_groups.last; ++group) {
    if (std::none_of(whole.begin(), whole.end(),
                     [&](KeyGroupRange range) { return range.contains(group); })) {
      return false;
    }
  }
  return true;
}

bool next_entry(const StateSchema& schema, bool is_erased, std::string_view& bytes,
                EncodedEntry& entry) {
  if (bytes.size() < (is_erased ? schema.erased_bytes_min() : schema.entry_bytes_min())) {
    return false;
  }
  std::memcpy(&entry.hash, bytes.data(), sizeof(entry.hash));
  bytes.remove_prefix(sizeof(entry.hash));
  return take_item(bytes, schema.key_size, entry.key) &&
         (is_erased || take_item(bytes, schema.value_size, entry.value));
}

bool next_run(std::string_view& bytes, EncodedRun& run) {
  if (bytes.size() < sizeof(RunHeader)) {
    return false;
  }
  std::memcpy(&run.header, bytes.data(), sizeof(RunHeader));
  bytes.remove_prefix(sizeof(RunHeader));
  if (run.header.bytes > bytes.size() || run.header.count == 0) {
    return false;
  }
  run.entries = bytes.substr(0, run.header.bytes);
  bytes.remove_prefix(run.header.bytes);
  return true;
}

}  // namespace weir::state
