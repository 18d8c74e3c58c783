#include "state/rocksdb/rocks_store.h"

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <utility>

#include <rocksdb/convenience.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/metadata.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/checkpoint.h>

#include "base/log.h"
#include "io/local_file_system.h"
#include "state/rocksdb/rocks_env.h"
#include "state/rocksdb/rocks_key.h"
#include "state/rocksdb/rocks_status.h"
#include "weir/check.h"

namespace weir::state {
namespace {

/// Each checkpoint adds a run, and what compactions write is stored again. Reads ask the filters of
/// so many runs at most.
constexpr int kRunsMax = 32;
/// What may lie above the last run, in percent of its bytes: about so much is outdated.
constexpr unsigned kOutdatedMaxPercent = 65;
/// So many files that no compaction has taken up yet make writers wait. A checkpoint adds one, so
/// that many of them have passed.
constexpr int kFilesBehind = 3 * kRunsMax;
/// Less is not worth a compaction of its own.
constexpr std::uint64_t kOutdatedMin = std::uint64_t{1} << 20;

rocksdb::CompressionType type_of(RocksDbSettings::Compression compression) {
  switch (compression) {
    case RocksDbSettings::Compression::kNone:
      return rocksdb::kNoCompression;
    case RocksDbSettings::Compression::kSnappy:
      return rocksdb::kSnappyCompression;
    case RocksDbSettings::Compression::kLz4:
      return rocksdb::kLZ4Compression;
    case RocksDbSettings::Compression::kZstd:
      return rocksdb::kZSTD;
  }
  return rocksdb::kNoCompression;
}

rocksdb::InfoLogLevel level_of(RocksDbSettings::LogLevel level) {
  switch (level) {
    case RocksDbSettings::LogLevel::kDebug:
      return rocksdb::DEBUG_LEVEL;
    case RocksDbSettings::LogLevel::kInfo:
      return rocksdb::INFO_LEVEL;
    case RocksDbSettings::LogLevel::kWarn:
      return rocksdb::WARN_LEVEL;
    case RocksDbSettings::LogLevel::kError:
      return rocksdb::ERROR_LEVEL;
    case RocksDbSettings::LogLevel::kFatal:
      return rocksdb::FATAL_LEVEL;
    case RocksDbSettings::LogLevel::kHeader:
      return rocksdb::HEADER_LEVEL;
  }
  return rocksdb::INFO_LEVEL;
}

/// RocksDB's CRC32C of a file: four bytes, big-endian.
std::optional<std::uint32_t> crc_of(const std::string& checksum, const std::string& function) {
  if (function != "FileChecksumCrc32c" || checksum.size() != 4) {
    return std::nullopt;
  }
  std::uint32_t crc = 0;
  for (const char byte : checksum) {
    crc = crc << 8 | static_cast<unsigned char>(byte);
  }
  return crc;
}

Status check(const RocksDbSettings& settings) {
  if (settings.compaction_style == RocksDbSettings::CompactionStyle::kFifo) {
    return Error{ErrorCode::kInvalidArgument,
                 "state.backend.rocksdb.compaction.style: FIFO removes the oldest files, and with "
                 "them state; use UNIVERSAL or LEVEL"};
  }
  if (settings.compression_per_level.empty()) {
    return Error{ErrorCode::kInvalidArgument,
                 "state.backend.rocksdb.compression.per.level names no compression; use "
                 "NO_COMPRESSION for none"};
  }
  return {};
}

}  // namespace

Error with_mend(Error error) {
  if (error.code == ErrorCode::kNoSpace) {
    error.message +=
        "; make room there, or set state.backend.rocksdb.localdir to a directory of a larger disk";
  }
  return error;
}

/// Hears of what fails in the background.
class RocksStore::Listener final : public rocksdb::EventListener {
 public:
  Listener(std::string owner, std::string path)
      : owner_(std::move(owner)), path_(std::move(path)) {}

  void OnBackgroundError(rocksdb::BackgroundErrorReason /*reason*/,
                         rocksdb::Status* status) override {
    const std::lock_guard lock(mutex_);
    if (!failure_.has_value()) {
      failure_ = with_mend(
          rocks_error(*status, "operator " + owner_ + ": RocksDB in " + path_ + " failed"));
      has_failed_.store(true, std::memory_order_release);
    }
  }
  void OnCompactionCompleted(rocksdb::DB* /*db*/,
                             const rocksdb::CompactionJobInfo& /*info*/) override {
    const std::lock_guard lock(mutex_);
    ++compactions_;
    has_compacted_.notify_all();
  }
  void wait_for_compaction(std::chrono::milliseconds most) {
    std::unique_lock lock(mutex_);
    has_compacted_.wait_for(lock, most, [this, before = compactions_] {
      return compactions_ != before || failure_.has_value();
    });
  }
  Status status() const {
    if (!has_failed_.load(std::memory_order_acquire)) {
      return {};
    }
    const std::lock_guard lock(mutex_);
    return *failure_;
  }

 private:
  const std::string owner_;
  const std::string path_;
  std::atomic<bool> has_failed_{false};
  mutable std::mutex mutex_;
  std::optional<Error> failure_;
  std::condition_variable has_compacted_;
  std::uint64_t compactions_ = 0;
};

RocksStore::RocksStore(Options options, std::string path)
    : options_(std::move(options)),
      path_(std::move(path)),
      listener_(std::make_shared<Listener>(options_.owner, path_)) {
  sorted_file_options_ = rocksdb::Options(instance_options(), family_options(nullptr));
  // A sorted file is what a checkpoint uploads first: the compression of the first level is its.
  sorted_file_options_.compression = sorted_file_options_.compression_per_level.front();
  sorted_file_options_.compression_per_level.clear();
}

rocksdb::DBOptions RocksStore::instance_options() const {
  const RocksDbSettings& settings = options_.settings;
  rocksdb::DBOptions options;
  options.env = working_files_env();
  options.create_if_missing = true;
  // The threads are the process', as many as the instance with the most asks for. RocksDB would
  // take a quarter of max_background_jobs, but one at least, for flushes, which there are none of.
  options.max_background_compactions = settings.background_threads;
  options.max_background_flushes = 1;
  options.max_open_files = settings.files_open;
  options.info_log_level = level_of(settings.log_level);
  options.db_log_dir = settings.log_directory;
  options.keep_log_file_num = static_cast<std::size_t>(settings.log_files);
  options.max_log_file_size = static_cast<std::size_t>(settings.log_file_bytes);
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.write_buffer_manager = options_.memory->write_buffers();
  options.file_checksum_gen_factory = rocksdb::GetFileChecksumGenCrc32cFactory();
  // Goes into every checkpoint, so it has to stay small.
  options.max_manifest_file_size = std::size_t{1} << 20;
  options.skip_stats_update_on_db_open = true;
  options.listeners.push_back(listener_);
  // A failure ends the attempt, and the job restores: nothing is to be mended behind its back.
  options.max_bgerror_resume_count = 0;
  return options;
}

rocksdb::ColumnFamilyOptions RocksStore::family_options(
    const std::shared_ptr<RocksFilter>& filter) const {
  const RocksDbSettings& settings = options_.settings;
  rocksdb::ColumnFamilyOptions options;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = options_.memory->block_cache();
  table.block_size = settings.block_bytes;
  table.metadata_block_size = settings.metadata_block_bytes;
  table.format_version = 5;
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  if (settings.has_partitioned_metadata) {
    table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
    table.partition_filters = settings.has_bloom_filter;
  }
  if (settings.has_bloom_filter) {
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(settings.bloom_bits_per_key));
  }
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  switch (settings.compaction_style) {
    case RocksDbSettings::CompactionStyle::kLevel:
      options.compaction_style = rocksdb::kCompactionStyleLevel;
      options.level_compaction_dynamic_level_bytes = settings.has_dynamic_levels;
      options.target_file_size_base = settings.target_file_bytes;
      options.max_bytes_for_level_base = settings.level_base_bytes;
      break;
    case RocksDbSettings::CompactionStyle::kUniversal:
      options.compaction_style = rocksdb::kCompactionStyleUniversal;
      options.level0_file_num_compaction_trigger = kRunsMax;
      options.compaction_options_universal.max_size_amplification_percent = kOutdatedMaxPercent;
      break;
    case RocksDbSettings::CompactionStyle::kFifo:
      WEIR_CHECK_MESSAGE(false, "open() refuses it");
      break;
    case RocksDbSettings::CompactionStyle::kNone:
      options.compaction_style = rocksdb::kCompactionStyleNone;
      break;
  }
  options.disable_auto_compactions = !options_.has_compactions;
  // RocksDB's default is to rewrite everything once a month: only states with a time to live need
  // that.
  options.periodic_compaction_seconds = 0;
  // RocksDB does not hold back files that come whole. See is_far_behind().
  options.level0_slowdown_writes_trigger = 1 << 20;
  options.level0_stop_writes_trigger = 1 << 20;
  options.soft_pending_compaction_bytes_limit = 0;
  options.hard_pending_compaction_bytes_limit = 0;
  for (const RocksDbSettings::Compression compression : settings.compression_per_level) {
    options.compression_per_level.push_back(type_of(compression));
  }
  options.write_buffer_size = std::size_t{1} << 20;  // unused
  if (filter != nullptr) {
    options.compaction_filter_factory = make_filter_factory(filter);
  }
  return options;
}

Error RocksStore::error(const rocksdb::Status& status, const std::string& doing) const {
  return with_mend(
      rocks_error(status, "operator " + options_.owner + ": " + doing + " RocksDB in " + path_));
}

Status RocksStore::background_status() const { return listener_->status(); }

RocksStore::Family* RocksStore::adopt(Family family) {
  auto owned = std::make_unique<Family>(std::move(family));
  Family* const raw = owned.get();
  families_[raw->name] = std::move(owned);
  return raw;
}

Result<std::unique_ptr<RocksStore>> RocksStore::open(Options options, std::string path,
                                                     const std::vector<FamilySpec>& families) {
  WEIR_TRY(check(options.settings));
  std::unique_ptr<RocksStore> store(new RocksStore(std::move(options), std::move(path)));
  WEIR_TRY(local_file_system().create_directories(store->path_));
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  descriptors.emplace_back(rocksdb::kDefaultColumnFamilyName, store->family_options(nullptr));
  std::vector<std::shared_ptr<RocksFilter>> filters{nullptr};
  for (const FamilySpec& spec : families) {
    filters.push_back(std::make_shared<RocksFilter>(spec.key_groups));
    descriptors.emplace_back(spec.name, store->family_options(filters.back()));
  }
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  const rocksdb::Status opened =
      rocksdb::DB::Open(store->instance_options(), store->path_, descriptors, &handles, &db);
  if (!opened.ok()) {
    return store->error(opened, "opening");
  }
  store->db_.reset(db);
  store->default_family_ = handles.front();
  for (std::size_t i = 0; i < families.size(); ++i) {
    store->adopt({families[i].name, families[i].key_groups, handles[i + 1], filters[i + 1]});
  }
  return store;
}

RocksStore::~RocksStore() {
  if (db_ != nullptr) {
    // Close() withdraws the compactions that have not begun. CancelAllBackgroundWork() would wait
    // for them, behind those of other instances.
    for (const auto& [name, family] : families_) {
      db_->DestroyColumnFamilyHandle(family->handle);
    }
    db_->DestroyColumnFamilyHandle(default_family_);
    const rocksdb::Status closed = db_->Close();
    static_cast<void>(closed.ok());  // The directory goes with whatever is wrong in it.
    db_.reset();
  }
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Result<RocksStore::Family*> RocksStore::add_family(const std::string& name,
                                                   KeyGroupRange key_groups) {
  auto filter = std::make_shared<RocksFilter>(key_groups);
  rocksdb::ColumnFamilyHandle* handle = nullptr;
  const rocksdb::Status made = db_->CreateColumnFamily(family_options(filter), name, &handle);
  if (!made.ok()) {
    return error(made, "adding a column family to");
  }
  return adopt({name, key_groups, handle, std::move(filter)});
}

RocksStore::Family* RocksStore::family(const std::string& name) {
  const auto found = families_.find(name);
  return found == families_.end() ? nullptr : found->second.get();
}

Status RocksStore::drop_family(Family* family) {
  const rocksdb::Status dropped = db_->DropColumnFamily(family->handle);
  db_->DestroyColumnFamilyHandle(family->handle);
  families_.erase(family->name);
  return dropped.ok() ? Status() : Status(error(dropped, "dropping a column family of"));
}

Status RocksStore::set_compaction_period(Family& family, DurationMs period) {
  if (!does_merge()) {
    return {};
  }
  const std::int64_t seconds = (period.count() + 999) / 1000;
  const rocksdb::Status set =
      db_->SetOptions(family.handle, {{"periodic_compaction_seconds", std::to_string(seconds)}});
  return set.ok() ? Status() : Status(error(set, "setting an option of"));
}

std::string RocksStore::next_sorted_path() {
  return path_ + "/sorted-" + std::to_string(next_sorted_.fetch_add(1));
}

Status RocksStore::ingest(const std::vector<SortedFile>& files) {
  std::vector<rocksdb::IngestExternalFileArg> all;
  for (const SortedFile& file : files) {
    rocksdb::IngestExternalFileArg one;
    one.column_family = file.family->handle;
    one.external_files = {file.path};
    one.options.move_files = true;
    // Files never change: checkpoints and other instances share them by links.
    one.options.write_global_seqno = false;
    one.options.snapshot_consistency = false;
    all.push_back(std::move(one));
  }
  const rocksdb::Status ingested = all.empty() ? rocksdb::Status() : db_->IngestExternalFiles(all);
  if (!ingested.ok()) {
    return error(ingested, "adding sorted files to");
  }
  if (options_.settings.compaction_style == RocksDbSettings::CompactionStyle::kUniversal) {
    for (const SortedFile& file : files) {
      WEIR_TRY(limit_outdated(*file.family));
    }
  }
  for (const SortedFile& file : files) {
    if (is_far_behind(*file.family)) {
      is_far_behind_ = true;
    }
  }
  return {};
}

bool RocksStore::does_merge() const {
  using Style = RocksDbSettings::CompactionStyle;
  return options_.settings.compaction_style == Style::kLevel ||
         options_.settings.compaction_style == Style::kUniversal;
}

bool RocksStore::is_far_behind(const Family& family) const {
  std::string files;
  return options_.has_compactions && does_merge() &&
         db_->GetProperty(family.handle, rocksdb::DB::Properties::kNumFilesAtLevelPrefix + "0",
                          &files) &&
         std::stoi(files) >= kFilesBehind;
}

void RocksStore::wait_for_compactions(std::chrono::milliseconds most) {
  listener_->wait_for_compaction(most);
  is_far_behind_ = std::any_of(families_.begin(), families_.end(), [this](const auto& family) {
    return is_far_behind(*family.second);
  });
}

RocksStore::Figures RocksStore::figures() const {
  Figures figures;
  // Zero where RocksDB does not know.
  db_->GetAggregatedIntProperty(rocksdb::DB::Properties::kTotalSstFilesSize, &figures.table_bytes);
  db_->GetAggregatedIntProperty(rocksdb::DB::Properties::kEstimatePendingCompactionBytes,
                                &figures.pending_compaction_bytes);
  return figures;
}

/// RocksDB looks at how much is outdated only once there are kRunsMax runs. Where a run is a large
/// part of the state that is too late: as many as there are have to do then.
Status RocksStore::limit_outdated(Family& family) {
  rocksdb::ColumnFamilyMetaData metadata;
  db_->GetColumnFamilyMetaData(family.handle, &metadata);
  int runs = 0;
  std::uint64_t last = 0;
  std::uint64_t above = 0;
  const auto add_run = [&](std::uint64_t bytes) {
    ++runs;
    above += last;
    last = bytes;
  };
  for (const rocksdb::LevelMetaData& level : metadata.levels) {
    if (level.level == 0) {
      // From the newest to the oldest.
      std::for_each(level.files.begin(), level.files.end(),
                    [&](const rocksdb::SstFileMetaData& file) { add_run(file.size); });
    } else if (!level.files.empty()) {
      add_run(level.size);
    }
  }
  const bool is_much = above >= kOutdatedMin && above * 100 >= last * kOutdatedMaxPercent;
  const int runs_max = is_much ? std::clamp(runs, 2, kRunsMax) : kRunsMax;
  if (runs_max == (family.runs_max == 0 ? kRunsMax : family.runs_max)) {
    return {};
  }
  family.runs_max = runs_max;
  const rocksdb::Status set = db_->SetOptions(
      family.handle, {{"level0_file_num_compaction_trigger", std::to_string(runs_max)}});
  return set.ok() ? Status() : Status(error(set, "setting an option of"));
}

Result<RocksStore::LiveFiles> RocksStore::live_files(const std::string& link_directory) {
  const auto listed = [&]() -> Result<LiveFiles> {
    rocksdb::LiveFilesStorageInfoOptions what;
    what.include_checksum_info = true;
    what.wal_size_for_flush = std::numeric_limits<std::uint64_t>::max();
    std::vector<rocksdb::LiveFileStorageInfo> infos;
    const rocksdb::Status found = db_->GetLiveFilesStorageInfo(what, &infos);
    if (!found.ok()) {
      return error(found, "listing the files of");
    }
    LiveFiles result;
    result.link_directory = link_directory;
    FileSystem& files = local_file_system();
    WEIR_TRY(files.create_directories(link_directory));
    for (const rocksdb::LiveFileStorageInfo& info : infos) {
      const std::string path = join_path(info.directory, info.relative_filename);
      if (info.file_type == rocksdb::kTableFile) {
        LiveFile file{info.relative_filename, join_path(link_directory, info.relative_filename),
                      info.size, crc_of(info.file_checksum, info.file_checksum_func_name)};
        std::error_code failure;
        std::filesystem::create_hard_link(path, file.link, failure);
        if (failure) {
          const bool is_full = failure == std::errc::no_space_on_device;
          return with_mend({is_full ? ErrorCode::kNoSpace : ErrorCode::kIo,
                            "linking " + path + ": " + failure.message()});
        }
        result.tables.push_back(std::move(file));
      } else if (info.file_type == rocksdb::kDescriptorFile) {
        result.manifest_name = info.relative_filename;
        WEIR_ASSIGN(result.manifest,
                    files.read_range(path, 0, static_cast<std::size_t>(info.size)));
      } else if (info.file_type == rocksdb::kCurrentFile) {
        result.current = info.replacement_contents;
        if (result.current.empty()) {
          WEIR_ASSIGN(result.current, files.read(path));
        }
      }
    }
    return result;
  };
  const rocksdb::Status held = db_->DisableFileDeletions();
  if (!held.ok()) {
    return error(held, "holding the files of");
  }
  Result<LiveFiles> result = listed();
  const rocksdb::Status released = db_->EnableFileDeletions(false);
  if (!result.ok() || !released.ok()) {
    std::error_code ignored;
    std::filesystem::remove_all(link_directory, ignored);
  }
  if (!released.ok()) {
    return error(released, "releasing the files of");
  }
  return result;
}

Result<RocksStore::Family*> RocksStore::import(RocksStore& from, const std::string& name,
                                               const std::string& new_name,
                                               KeyGroupRange key_groups) {
  Family* const source = from.family(name);
  WEIR_CHECK(source != nullptr);
  rocksdb::Checkpoint* raw = nullptr;
  const rocksdb::Status created = rocksdb::Checkpoint::Create(&from.db(), &raw);
  if (!created.ok()) {
    return from.error(created, "exporting");
  }
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(raw);
  const std::string directory = path_ + "-import";
  std::error_code ignored;
  std::filesystem::remove_all(directory, ignored);
  rocksdb::ExportImportFilesMetaData* exported = nullptr;
  const rocksdb::Status status =
      checkpoint->ExportColumnFamily(source->handle, directory, &exported);
  if (!status.ok()) {
    return from.error(status, "exporting");
  }
  const std::unique_ptr<rocksdb::ExportImportFilesMetaData> metadata(exported);
  // What holds nothing of these key groups is not even linked.
  const std::string begin = rocks_group_begin(static_cast<std::uint32_t>(key_groups.first));
  const std::string end = rocks_group_begin(static_cast<std::uint32_t>(key_groups.last) + 1);
  std::erase_if(metadata->files, [&](const rocksdb::LiveFileMetaData& file) {
    return file.largestkey < begin || file.smallestkey >= end;
  });
  Result<Family*> result = nullptr;
  if (metadata->files.empty()) {
    result = add_family(new_name, key_groups);
  } else {
    auto filter = std::make_shared<RocksFilter>(key_groups);
    rocksdb::ImportColumnFamilyOptions how;
    how.move_files = true;
    rocksdb::ColumnFamilyHandle* handle = nullptr;
    const rocksdb::Status imported = db_->CreateColumnFamilyWithImport(
        family_options(filter), new_name, how, *metadata, &handle);
    if (imported.ok()) {
      result = adopt({new_name, key_groups, handle, std::move(filter)});
    } else {
      result = error(imported, "importing into");
    }
  }
  std::filesystem::remove_all(directory, ignored);
  return result;
}

}  // namespace weir::state
