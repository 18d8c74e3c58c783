#include "state_processor/entry_file.h"

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "state/direct_sink.h"
#include "state/snapshot_writer.h"
#include "weir/codec.h"

namespace weir::state_processor {
namespace {

void put_part(Encoder& out, std::uint32_t fixed_size, std::string_view bytes) {
  if (fixed_size == 0) {
    out.varint(bytes.size());
  }
  out.bytes(bytes.data(), bytes.size());
}

}  // namespace

Result<state::SnapshotFileInfo> write_entry_file(FileSystem& files, const std::string& path,
                                                 const std::string& uid, int max_parallelism,
                                                 const std::vector<state::StateSchema>& states,
                                                 const EntrySource& source) {
  WEIR_ASSIGN(BlockFileWriter file, BlockFileWriter::create(files, path, state::kStateFileMagic,
                                                            state::kStateFileVersion));
  const auto sink = std::make_shared<state::DirectSink>(std::move(file));
  state::StateFileIndex index;
  index.owner = uid;
  index.max_parallelism = max_parallelism;
  index.key_groups = {0, max_parallelism - 1};
  index.whole = index.key_groups;
  state::SnapshotWriter writer(sink, std::move(index));
  for (const state::StateSchema& state : states) {
    std::uint64_t live = 0;
    WEIR_TRY(source(state, [&](const StoredEntry&) -> Status {
      ++live;
      return {};
    }));
    const std::uint32_t number = writer.add_state(state, live);
    std::string encoded;
    WEIR_TRY(source(state, [&](const StoredEntry& entry) -> Status {
      encoded.clear();
      Encoder out(encoded);
      out.raw(entry.hash);
      put_part(out, state.key_size, entry.key);
      put_part(out, state.value_size, entry.value);
      writer.append_run({number, static_cast<std::uint32_t>(entry.key_group), entry.ns, 1, 0},
                        encoded);
      return {};
    }));
  }
  writer.finish();
  return sink->complete();
}

}  // namespace weir::state_processor
