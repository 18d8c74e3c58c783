#include "state/rocksdb/rocks_snapshot.h"

#include <algorithm>
#include <filesystem>

#include "base/crc32c.h"
#include "base/planted_bug.h"
#include "io/local_file_system.h"
#include "state/rocksdb/rocks_key.h"
#include "state/rocksdb/rocks_map_layout.h"
#include "state/rocksdb/rocks_timer_layout.h"
#include "state/snapshot_file.h"
#include "state/snapshot_writer.h"
#include "weir/codec.h"

namespace weir::state {
namespace {

constexpr std::size_t kCopyBytes = std::size_t{1} << 20;

/// Reads a local file from front to back.
template <class F>
Status for_each_piece(const std::string& path, const RocksSnapshot& snapshot, F&& use) {
  WEIR_ASSIGN(const auto in, local_file_system().open(path));
  std::string bytes;
  const std::uint64_t size = in->size_bytes();
  for (std::uint64_t at = 0; at < size; at += bytes.size()) {
    WEIR_TRY(snapshot.wanted());
    WEIR_TRY(in->read_at(
        at, static_cast<std::size_t>(std::min<std::uint64_t>(kCopyBytes, size - at)), bytes));
    WEIR_TRY(use(bytes));
  }
  return {};
}

/// Stores the files of one checkpoint.
class Upload {
 public:
  explicit Upload(RocksSnapshot& snapshot)
      : snapshot_(snapshot), files_(*snapshot.options().files) {}

  Result<std::vector<RocksDbFile>> run(RocksStore::LiveFiles& live, const Helpers& helpers) {
    std::vector<RocksDbFile> tables(live.tables.size());
    WEIR_TRY(do_all(helpers, tables.size(), [&](std::size_t i) -> Status {
      WEIR_ASSIGN(tables[i], store(live.tables[i]));
      return {};
    }));
    for (std::size_t i = 0; i < tables.size(); ++i) {
      const FileSummary& file = tables[i].file;
      snapshot_.index.tables.push_back({live.tables[i].name, file.length_bytes, file.crc32c});
    }
    snapshot_.index.manifest_name = std::move(live.manifest_name);
    snapshot_.index.manifest = std::move(live.manifest);
    snapshot_.index.current = std::move(live.current);
    const RocksDbBackend::NewFile to = snapshot_.options().new_file("index");
    note_written(to.path);
    WEIR_ASSIGN(const FileSummary index, write_rocks_index(files_, to.path, snapshot_.index));
    std::vector<RocksDbFile> all{{to.name, index, std::string(kRocksIndexMeta)}};
    std::move(tables.begin(), tables.end(), std::back_inserter(all));
    return all;
  }
  void remove_all() {
    for (const std::string& path : written_) {
      static_cast<void>(files_.remove(path).ok());
    }
  }

 private:
  void note_written(const std::string& path) {
    const std::lock_guard lock(mutex_);
    written_.push_back(path);
  }
  /// On any thread.
  Result<RocksDbFile> store(const RocksStore::LiveFile& table) {
    const std::string meta = std::string(kRocksTableMeta) + table.name;
    std::optional<std::uint32_t> crc = table.crc32c;
    const auto same =
        std::find_if(snapshot_.options().reusable.begin(), snapshot_.options().reusable.end(),
                     [&](const RocksDbFile& file) {
                       return file.meta == meta &&
                              (file.file.length_bytes == table.length_bytes || planted_bug("S9"));
                     });
    if (same != snapshot_.options().reusable.end()) {
      if (!crc.has_value()) {
        crc = 0;
        WEIR_TRY(for_each_piece(table.link, snapshot_, [&](const std::string& bytes) {
          crc = crc32c(bytes, *crc);
          return Status();
        }));
      }
      // By its content: a name alone says nothing.
      if (same->file.crc32c == *crc || planted_bug("S9")) {
        return *same;
      }
    }
    const RocksDbBackend::NewFile to = snapshot_.options().new_file(table.name);
    WEIR_ASSIGN(const auto out, files_.create_writer(to.path));
    note_written(to.path);
    std::uint32_t written_crc = 0;
    WEIR_TRY(for_each_piece(table.link, snapshot_, [&](const std::string& bytes) {
      written_crc = crc32c(bytes, written_crc);
      return out->append(bytes);
    }));
    WEIR_TRY(out->sync());
    const std::uint64_t length = out->size_bytes();
    WEIR_TRY(out->close());
    if (length != table.length_bytes || (crc.has_value() && written_crc != *crc)) {
      return Error{ErrorCode::kCorruption,
                   "operator " + snapshot_.index.owner + ": file " + table.link +
                       " has other bytes than when RocksDB wrote it; a restart makes it anew. If "
                       "it happens again, check the disk, or set state.backend.rocksdb.localdir to "
                       "a directory of another one"};
    }
    return RocksDbFile{to.name, {length, written_crc}, meta};
  }

  RocksSnapshot& snapshot_;
  FileSystem& files_;
  std::mutex mutex_;
  std::vector<std::string> written_;
};

/// Timers by time, as the sets that state files have.
Status write_timers(const RocksSnapshot& snapshot, RocksStateView& view, std::uint32_t number,
                    SnapshotWriter& writer) {
  for (RocksStateView::Part& part : view.parts) {
    for (int group = part.key_groups.first; group <= part.key_groups.last; ++group) {
      WEIR_TRY(snapshot.wanted());
      const auto key_group = static_cast<std::uint32_t>(group);
      TimersOfGroup timers;
      WEIR_TRY(timers.read(*part.entries, key_group));
      for (auto& [id, set] : timers.sets) {
        const std::string times = TimersOfGroup::encode(set);
        writer.append_encoded({number, key_group, id.first}, view.schema,
                              {set.hash, id.second, times});
      }
    }
  }
  writer.set_live_as_written(number);
  return {};
}

Status write_view(const RocksSnapshot& snapshot, RocksStateView& view, std::uint32_t number,
                  SnapshotWriter& writer) {
  constexpr std::uint64_t kEntriesPerLook = 4096;
  std::uint64_t entries = 0;
  for (RocksStateView::Part& part : view.parts) {
    WholeReader reader(*part.entries, part.key_groups, view.layout, view.expiry);
    for (;;) {
      if (++entries % kEntriesPerLook == 0) {
        WEIR_TRY(snapshot.wanted());
        if (writer.sink().has_failed()) {
          return {};
        }
      }
      WholeReader::Entry entry;
      const Result<bool> is_there = reader.next(entry);
      if (!is_there.ok()) {
        return is_there.error().with_context("reading state '" + view.schema.name + "'");
      }
      if (!is_there.value()) {
        break;
      }
      writer.append_encoded({number, entry.key_group, entry.ns}, view.schema,
                            {entry.hash, entry.key, entry.value});
    }
  }
  writer.set_live_as_written(number);
  return {};
}

}  // namespace

Result<std::vector<RocksDbFile>> store_live_files(RocksSnapshot& snapshot,
                                                  RocksStore::LiveFiles live,
                                                  const Helpers& helpers) {
  Upload upload(snapshot);
  Result<std::vector<RocksDbFile>> stored = upload.run(live, helpers);
  if (!stored.ok()) {
    upload.remove_all();
  }
  std::error_code ignored;
  std::filesystem::remove_all(live.link_directory, ignored);
  return stored;
}

Result<std::vector<RocksDbFile>> store_state_file(const RocksSnapshot& snapshot,
                                                  std::vector<RocksStateView> views) {
  const RocksDbBackend::NewFile to = snapshot.options().new_file("state");
  std::optional<Result<SnapshotFileInfo>> info;
  SnapshotFile::Options options;
  options.run = [](std::function<void()> job) { job(); };  // This is an I/O thread.
  options.on_done = [&info](Result<SnapshotFileInfo> outcome) { info.emplace(std::move(outcome)); };
  const auto sink = SnapshotFile::create(*snapshot.options().files, to.path, options);
  StateFileIndex index;
  index.owner = snapshot.index.owner;
  index.max_parallelism = snapshot.index.max_parallelism;
  index.key_groups = snapshot.index.key_groups;
  index.whole = index.key_groups;
  SnapshotWriter writer(sink, std::move(index));
  Status written;
  for (RocksStateView& view : views) {
    const std::uint32_t number = writer.add_state(view.schema, 0);
    written = view.layout == RocksLayout::kTimersByTime
                  ? write_timers(snapshot, view, number, writer)
                  : write_view(snapshot, view, number, writer);
    if (!written.ok()) {
      break;
    }
  }
  if (written.ok() && writer.error().has_value()) {
    written = *writer.error();
  }
  if (written.ok()) {
    writer.finish();
  } else {
    sink->abandon(written.error());
  }
  WEIR_CHECK(info.has_value());
  WEIR_TRY(written);
  WEIR_TRY(info->status());
  return std::vector<RocksDbFile>{{to.name, info->value().file, {}}};
}

}  // namespace weir::state
