#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "checkpoint/garbage.h"
#include "checkpoint/manifest.h"
#include "io/file_system.h"
#include "weir/result.h"
#include "weir/time.h"

namespace weir::checkpoint {

struct StoreOptions {
  std::string directory;         ///< execution.checkpointing.dir
  std::string job_id;            ///< 32 lower-case hexadecimal digits
  std::string pipeline_id;       ///< for the identity file
  bool has_subdirectory = true;  ///< create-subdir: a level <job-id>/ below `directory`
  int read_attempts = 3;         ///< of an unreadable manifest before it is an error
  DurationMs read_retry_delay{100};
  /// File names are made unique by counting from here; 0 = from a random number. The simulator
  /// sets it, so that a seed repeats bit for bit.
  std::uint64_t first_unique = 0;
};

/// Where state files live. The level of Flink's layout.
enum class FileScope {
  kExclusive,  ///< chk-<n>/: belongs to one checkpoint
  kShared,     ///< shared/: several checkpoints may name it
  kTaskOwned,  ///< taskowned/: named by committables
};

/// That a job has ended for good: what is left of it when its checkpoints are deleted.
struct FinishedRecord {
  CheckpointId checkpoint = 0;  ///< its last one
  std::int64_t incarnation = 0;
  Lineage lineage;
};

/// The checkpoints of one job on a file system; docs/formats/checkpoint-layout.md.
///
/// A checkpoint exists when its manifest was published, and is never changed afterwards. File
/// creation and path functions are thread-safe; the rest is called by one thread at a time and may
/// block.
class CheckpointStore {
 public:
  /// Creates the directories, takes the directory's lock and checks who lives there.
  /// kInvalidArgument: another job does. kUnavailable: another process runs this job.
  static Result<std::unique_ptr<CheckpointStore>> open(FileSystem& files, Clock& clock,
                                                       StoreOptions options);

  /// Raises the attempt number durably. Call once per start and restart, before anything is
  /// written or restored; it will be above `floor`, an attempt that the job came from. kFenced:
  /// another process has begun an attempt since this store's last one, so this process must not
  /// take the job back. Afterwards no older attempt can publish any more, not even one that was
  /// paused in the middle of publish().
  Result<AttemptId> begin_attempt(AttemptId floor = 0);
  AttemptId attempt() const { return attempt_; }
  /// kFenced when a higher attempt exists.
  Status check_leading();

  /// Highest number ever given out, 0 for none: the next checkpoint takes one more.
  Result<CheckpointId> highest_checkpoint_id();
  /// Creates chk-<n>/; call before its tasks are told. kAlreadyExists = kFenced: another run has
  /// taken the number.
  Status begin_checkpoint(CheckpointId checkpoint);

  /// A name no one used before, relative to the job's directory. `hint` is kept for people:
  /// characters other than letters, digits, '.', '-' and '_' are replaced.
  std::string new_file_name(FileScope scope, CheckpointId checkpoint, std::string_view hint);
  /// Absolute form of a relative name. REQUIRES: is_safe_relative_path(name).
  std::string path_of(std::string_view name) const;
  /// Where a file of the restored snapshot lies: the files of one that the user chose have absolute
  /// names, those of this job's own checkpoints relative ones.
  std::string path_of_restored(const std::string& name) const {
    return name.starts_with('/') ? name : path_of(name);
  }
  FileSystem& files() { return files_; }
  const std::string& root() const { return root_; }

  /// Makes the names of new files durable and publishes the manifest, once. Success means that
  /// this very manifest is there, also after a lost reply. kAlreadyExists: a different one is.
  /// kFenced: a newer attempt leads. kUnknownOutcome: it may be there; call again.
  /// Kill points: checkpoint.before_manifest, checkpoint.after_manifest.
  Status publish(const Manifest& manifest);

  /// Published checkpoints, highest first, savepoints in this directory included.
  Result<std::vector<CheckpointId>> list_published();
  /// Retries an unreadable manifest, then fails naming the file. kNotFound if not published.
  Result<Manifest> load(CheckpointId checkpoint);
  /// The highest published checkpoint, or nothing on a first start. Never an older one: if the
  /// highest cannot be read, that is the error. Kill point: restore.after_load.
  Result<std::optional<Manifest>> load_latest();
  /// A snapshot the user chose: a checkpoint or savepoint directory, or its _metadata file.
  static Result<Manifest> load_from(FileSystem& files, const std::string& path);
  /// Reads every file of the manifest and compares length and CRC32C.
  Status verify(const Manifest& manifest);

  /// The facts that plan_garbage decides on.
  Result<std::vector<StoredFile>> list_files();
  /// Carries a plan out while this attempt leads: what is gone already is fine, the first other
  /// failure ends it.
  Status collect(const GarbagePlan& plan);
  /// list, load, plan, collect. An unreadable manifest deletes nothing.
  Status collect_garbage(const GarbageOptions& options, const std::vector<std::string>& in_use,
                         const std::vector<std::string>& released = {});

  /// In place of a manifest: the number was begun, not published, and given up for good.
  static bool is_seal(std::string_view bytes);
  /// True when there is a manifest, be it damaged; false when there is none, or a seal.
  static Result<bool> is_published(FileSystem& files, const std::string& manifest_path);
  /// Deletes every checkpoint of the job, oldest first, while this attempt leads. The highest
  /// number stays visible, so that it is not given out again.
  Status dispose_all();
  /// Publishes `_finished-<checkpoint>`. Kill points: finish.before_record, finish.after_record.
  Status publish_finished(const FinishedRecord& record);
  /// The highest record, if the job went on to no later checkpoint.
  Result<std::optional<FinishedRecord>> load_finished();

  static std::string directory_of(CheckpointId checkpoint);      ///< "chk-<n>"
  static std::string manifest_name_of(CheckpointId checkpoint);  ///< "chk-<n>/_metadata"

 private:
  CheckpointStore(FileSystem& files, Clock& clock, StoreOptions options, std::string root);

  Status check_identity();
  /// `is_earlier_unknown`: an earlier try may have published it.
  Status confirm_published(const std::string& path, std::string_view bytes, const Error& failure,
                           bool is_earlier_unknown);
  Status sync_directories_of(const Manifest& manifest);
  Status seal_unpublished();
  Status publish_once(const Manifest& manifest, const std::string& bytes);
  Result<Manifest> load_once(CheckpointId checkpoint);
  Result<std::vector<AttemptId>> list_attempts();
  Status list_into(const std::string& directory, std::vector<StoredFile>& out);

  FileSystem& files_;
  Clock& clock_;
  const StoreOptions options_;
  const std::string root_;
  std::unique_ptr<FileLock> lock_;
  AttemptId attempt_ = 0;
  CheckpointId maybe_published_ = 0;  ///< the outcome of an earlier try is unknown
  std::mutex name_mutex_;
  std::uint64_t next_unique_ = 0;
};

}  // namespace weir::checkpoint
