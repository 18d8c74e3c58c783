#include "state_processor/entry_file.h"

#include <cstdint>
#include <memory>
#include <utility>

#include "state/direct_sink.h"
#include "state/snapshot_writer.h"

namespace weir::state_processor {
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
    const std::uint32_t number = writer.add_state(state, 0);
    WEIR_TRY(source(state, [&](const StoredEntry& entry) -> Status {
      writer.append_encoded({number, static_cast<std::uint32_t>(entry.key_group), entry.ns}, state,
                            {entry.hash, entry.key, entry.value});
      return {};
    }));
    writer.set_live_as_written(number);
  }
  writer.finish();
  return sink->complete();
}

}  // namespace weir::state_processor
