#include "state/snapshot_writer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "weir/check.h"
#include "weir/codec.h"

namespace weir::state {
namespace {

/// memcpy whose usual sizes are known to the compiler.
inline char* put(char* to, const std::byte* from, std::uint32_t size) {
  switch (size) {
    case 4:
      std::memcpy(to, from, 4);
      break;
    case 8:
      std::memcpy(to, from, 8);
      break;
    case 16:
      std::memcpy(to, from, 16);
      break;
    default:
      std::memcpy(to, from, size);
  }
  return to + size;
}

}  // namespace

SnapshotWriter::SnapshotWriter(std::shared_ptr<SnapshotSink> sink, StateFileIndex index)
    : sink_(std::move(sink)), index_(std::move(index)) {}

std::uint32_t SnapshotWriter::add_state(StateSchema schema, std::uint64_t live) {
  index_.states.push_back({.schema = std::move(schema), .live = live});
  return static_cast<std::uint32_t>(index_.states.size() - 1);
}

void SnapshotWriter::set_live_as_written(std::uint32_t state) {
  close_run(walk_);
  close_run(before_write_);
  index_.states[state].live = index_.states[state].entries;
}

std::size_t SnapshotWriter::append(Stream stream, const RunHeader& run,
                                   const EntryEncoding& encoding, const std::byte* entry) {
  if (encoding.expiry != nullptr) {
    return append_unexpired(stream, run, encoding, entry);
  }
  OpenBlock& block = stream == Stream::kWalk ? walk_ : before_write_;
  const EntryLayout& layout = encoding.layout;
  const std::size_t size = sizeof(std::uint32_t) + encoding.key_size + encoding.value_size;
  if (encoding.key_size == 0 || encoding.value_size == 0) {
    encoded_.clear();
    encode_item(*layout.key, encoding.key_size, entry + layout.key_offset);
    encode_item(*layout.value, encoding.value_size, entry + layout.value_offset);
    return append_with_hash(block, run, entry);
  }
  prepare(block, run, size);
  char* to = block.bytes.data() + block.used;
  to = put(to, entry + sizeof(std::uint32_t), sizeof(std::uint32_t));
  to = put(to, entry + layout.key_offset, encoding.key_size);
  put(to, entry + layout.value_offset, encoding.value_size);
  block.used += size;
  ++block.run.count;
  return size;
}

std::size_t SnapshotWriter::append_unexpired(Stream stream, const RunHeader& run,
                                             const EntryEncoding& encoding,
                                             const std::byte* entry) {
  const EntryLayout& layout = encoding.layout;
  std::string value;
  Encoder value_out(value);
  layout.value->encode(entry + layout.value_offset, value_out);
  std::string rest;
  const Expiry expiry = encoding.expiry->of(value, encoding.now_ms, rest);
  if (expiry == Expiry::kAll) {
    --index_.states[run.state].live;
    return 0;
  }
  encoded_.clear();
  encode_item(*layout.key, encoding.key_size, entry + layout.key_offset);
  put_item(*layout.value, encoding.value_size, expiry == Expiry::kSome ? rest : value);
  return append_with_hash(stream == Stream::kWalk ? walk_ : before_write_, run, entry);
}

std::size_t SnapshotWriter::append_with_hash(OpenBlock& block, const RunHeader& run,
                                             const std::byte* entry) {
  const std::size_t size = sizeof(std::uint32_t) + encoded_.size();
  prepare(block, run, size);
  char* const to = block.bytes.data() + block.used;
  std::memcpy(to, entry + sizeof(std::uint32_t), sizeof(std::uint32_t));
  std::memcpy(to + sizeof(std::uint32_t), encoded_.data(), encoded_.size());
  block.used += size;
  ++block.run.count;
  return size;
}

SnapshotWriter::Room SnapshotWriter::room_for(const RunHeader& run, std::size_t entry_bytes) {
  prepare(walk_, run, entry_bytes);
  return {walk_.bytes.data() + walk_.used, (walk_.bytes.size() - walk_.used) / entry_bytes};
}

void SnapshotWriter::append_encoded(const RunHeader& run, const StateSchema& schema,
                                    const EncodedEntry& entry) {
  encoded_.clear();
  Encoder out(encoded_);
  out.raw(entry.hash);
  const auto put_item = [&out](std::uint32_t fixed_size, std::string_view bytes) {
    if (fixed_size == 0) {
      out.varint(bytes.size());
    }
    out.bytes(bytes.data(), bytes.size());
  };
  put_item(schema.key_size, entry.key);
  put_item(schema.value_size, entry.value);
  RunHeader one = run;
  one.count = 1;
  append_run(one, encoded_);
}

void SnapshotWriter::append_run(const RunHeader& run, std::string_view entries) {
  prepare(walk_, run, entries.size());
  std::memcpy(walk_.bytes.data() + walk_.used, entries.data(), entries.size());
  walk_.used += entries.size();
  walk_.run.count += run.count;
}

void SnapshotWriter::encode_item(const TypeOps& ops, std::uint32_t fixed_size,
                                 const std::byte* item) {
  Encoder out(encoded_);
  if (fixed_size != 0) {
    out.bytes(item, fixed_size);
    return;
  }
  item_.clear();
  Encoder item_out(item_);
  ops.encode(item, item_out);
  put_item(ops, fixed_size, item_);
}

void SnapshotWriter::put_item(const TypeOps& ops, std::uint32_t fixed_size,
                              std::string_view encoded) {
  if (encoded.size() > kItemBytesMax) {
    error_ = Error{ErrorCode::kUser, "a value of type " + std::string(ops.name) + " takes " +
                                         std::to_string(encoded.size()) + " bytes, more than " +
                                         std::to_string(kItemBytesMax)};
    encoded = {};
  }
  Encoder out(encoded_);
  if (fixed_size == 0) {
    out.varint(encoded.size());
  }
  out.bytes(encoded.data(), encoded.size());
}

std::size_t SnapshotWriter::append_erased(Stream stream, const RunHeader& run,
                                          const EntryEncoding& encoding, const std::byte* entry) {
  OpenBlock& block = stream == Stream::kWalk ? walk_ : before_write_;
  encoded_.clear();
  encode_item(*encoding.layout.key, encoding.key_size, entry + encoding.layout.key_offset);
  RunHeader erased = run;
  erased.state |= kErasedRun;
  return append_with_hash(block, erased, entry);
}

void SnapshotWriter::prepare(OpenBlock& block, const RunHeader& run, std::size_t size) {
  const bool is_same_run = block.run_at != 0 && block.run.state == run.state &&
                           block.run.key_group == run.key_group && block.run.ns == run.ns;
  const std::size_t needed = size + (is_same_run ? 0 : sizeof(RunHeader));
  if (is_same_run && block.used + needed <= block.bytes.size()) {
    return;
  }
  if (block.used != 0 && block.used + needed > block.bytes.size()) {
    flush(block);
  }
  if (block.used == 0) {
    start_block(block, size + sizeof(RunHeader));
  }
  close_run(block);
  start_run(block, run);
}

void SnapshotWriter::start_block(OpenBlock& block, std::size_t size) {
  block.bytes = sink_->recycle();
  // Without the run headers of an ordinary block, one giant entry gets a block of its own.
  block.bytes.resize(std::max(kBlockBytesTarget, sizeof(EntryBlockHeader) + size));
  block.used = sizeof(EntryBlockHeader);
  block.run_at = 0;
  block.entries = 0;
  block.summary = StateFileIndex::Block{};
  block.summary.first_state = std::numeric_limits<std::uint32_t>::max();
  block.summary.key_groups = {index_.key_groups.last, index_.key_groups.first};
}

void SnapshotWriter::start_run(OpenBlock& block, const RunHeader& run) {
  block.run_at = block.used;
  block.run = run;
  block.run.count = 0;
  block.used += sizeof(RunHeader);
  StateFileIndex::Block& summary = block.summary;
  summary.first_state = std::min(summary.first_state, state_number(run));
  summary.last_state = std::max(summary.last_state, state_number(run));
  if (run.key_group == kMixedGroups) {
    summary.key_groups = index_.key_groups;
  } else {
    const auto key_group = static_cast<int>(run.key_group);
    summary.key_groups.first = std::min(summary.key_groups.first, key_group);
    summary.key_groups.last = std::max(summary.key_groups.last, key_group);
  }
}

void SnapshotWriter::close_run(OpenBlock& block) {
  if (block.run_at == 0) {
    return;
  }
  block.run.bytes = static_cast<std::uint32_t>(block.used - block.run_at - sizeof(RunHeader));
  std::memcpy(block.bytes.data() + block.run_at, &block.run, sizeof(RunHeader));
  block.entries += block.run.count;
  StateFileIndex::State& state = index_.states[state_number(block.run)];
  if (is_erased_run(block.run)) {
    state.erased += block.run.count;
  } else {
    state.entries += block.run.count;
    index_.entries += block.run.count;
  }
  block.run_at = 0;
}

void SnapshotWriter::flush(OpenBlock& block) {
  if (block.used == 0) {
    return;
  }
  close_run(block);
  EntryBlockHeader header;
  header.entries = block.entries;
  std::memcpy(block.bytes.data(), &header, sizeof(header));
  block.bytes.resize(block.used);
  block.summary.offset = next_offset_;
  block.summary.payload_bytes = static_cast<std::uint32_t>(block.used);
  block.summary.entries = block.entries;
  index_.blocks.push_back(block.summary);
  next_offset_ += kBlockHeaderBytes + block.used;
  sink_->submit(std::move(block.bytes));
  block.bytes = std::string();
  block.used = 0;
}

void SnapshotWriter::finish() {
  flush(walk_);
  flush(before_write_);
  sink_->submit(index_.encode());
  sink_->finish({.file = {},
                 .entries = index_.entries,
                 .whole_bytes = whole_bytes_,
                 .raw_bytes = next_offset_});
}

}  // namespace weir::state
