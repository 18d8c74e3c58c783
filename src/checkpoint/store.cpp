#include "checkpoint/store.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <random>
#include <set>
#include <sstream>
#include <thread>
#include <utility>

#include "base/failpoint.h"
#include "base/log.h"
#include "base/planted_bug.h"
#include "io/block_file.h"

namespace weir::checkpoint {
namespace {

constexpr std::string_view kIdentityName = "_job";
constexpr std::string_view kLockName = "_lock";
constexpr std::string_view kAttempts = "attempts";
constexpr std::string_view kShared = "shared";
constexpr std::string_view kTaskOwned = "taskowned";
constexpr std::string_view kManifestName = "_metadata";
/// Shorter than any manifest, and not empty: what a damage cuts a manifest down to is no seal.
constexpr std::string_view kSeal = "weir: number given up\n";
constexpr std::string_view kFinishedPrefix = "_finished-";
constexpr std::size_t kHintBytesMax = 48;

std::uint64_t random_start() {
  std::random_device chance;
  return (std::uint64_t{chance()} << 32) | chance();
}

std::string identity_of(const StoreOptions& options) {
  return "weir job " + options.job_id + "\npipeline " + options.pipeline_id + "\n";
}

std::string safe_hint(std::string_view hint) {
  std::string safe(hint.substr(0, kHintBytesMax));
  for (char& c : safe) {
    const bool is_good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                         (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
    if (!is_good) {
      c = '_';
    }
  }
  // A hint must not make a file look like a left-over of publish().
  for (std::size_t at = 0; (at = safe.find(kAsideInfix)) != std::string::npos;) {
    safe[at] = '_';
  }
  return safe.empty() ? "file" : safe;
}

std::optional<std::int64_t> number_of(std::string_view name) {
  // One way to read a decimal number without sign or leading zero: as the number of a checkpoint.
  return checkpoint_of_path("chk-" + std::string(name));
}

/// A checkpoint must not come back after a power cut when its files are gone already. Where files
/// lie without a manifest, an earlier pass may have removed that and failed before it was durable.
std::set<std::string> directories_to_sync(const GarbagePlan& plan) {
  const auto parent_of = [](const std::string& name) {
    return name.substr(0, name.find_last_of('/'));
  };
  std::set<std::string> directories;
  for (const std::string& name : plan.manifests) {
    directories.insert(parent_of(name));
  }
  for (const std::string& name : plan.files) {
    directories.insert(parent_of(name));
  }
  directories.insert(plan.directories.begin(), plan.directories.end());
  std::erase_if(directories, [](const std::string& name) { return !name.starts_with("chk-"); });
  return directories;
}

}  // namespace

CheckpointStore::CheckpointStore(FileSystem& files, Clock& clock, StoreOptions options,
                                 std::string root)
    : files_(files),
      clock_(clock),
      options_(std::move(options)),
      root_(std::move(root)),
      next_unique_(options_.first_unique != 0 ? options_.first_unique : random_start()) {}

Result<std::unique_ptr<CheckpointStore>> CheckpointStore::open(FileSystem& files, Clock& clock,
                                                               StoreOptions options) {
  if (options.directory.empty() || !is_job_id(options.job_id)) {
    return Error{ErrorCode::kInvalidArgument,
                 "checkpoint store needs a directory and a job id of 32 hexadecimal digits, got '" +
                     options.directory + "' and '" + options.job_id + "'"};
  }
  std::string root =
      options.has_subdirectory ? join_path(options.directory, options.job_id) : options.directory;
  std::unique_ptr<CheckpointStore> store(
      new CheckpointStore(files, clock, std::move(options), std::move(root)));
  WEIR_TRY(files.create_directories(store->root_));
  auto lock = files.lock(join_path(store->root_, kLockName));
  if (!lock.ok()) {
    return lock.error().with_context("job " + store->options_.job_id +
                                     " seems to run already; its checkpoint directory is in use");
  }
  store->lock_ = std::move(lock).value();
  WEIR_TRY(store->check_identity());
  for (const std::string_view name : {kAttempts, kShared, kTaskOwned}) {
    WEIR_TRY(files.create_directories(join_path(store->root_, name)));
  }
  return store;
}

Status CheckpointStore::check_identity() {
  const std::string path = join_path(root_, kIdentityName);
  const Status published = files_.publish(path, identity_of(options_));
  if (published.ok()) {
    return {};
  }
  WEIR_ASSIGN(const std::string found, files_.read(path));
  // The pipeline may have been renamed; the job id may not.
  const std::string wanted = "weir job " + options_.job_id + "\n";
  if (found.starts_with(wanted)) {
    return {};
  }
  return Error{ErrorCode::kInvalidArgument,
               "checkpoint directory " + root_ + " belongs to another job (" +
                   found.substr(0, std::min<std::size_t>(found.find('\n'), 64)) + "), not to job " +
                   options_.job_id + "; choose another directory"};
}

Result<std::vector<AttemptId>> CheckpointStore::list_attempts() {
  WEIR_ASSIGN(const auto entries, files_.list(join_path(root_, kAttempts)));
  std::vector<AttemptId> attempts;
  for (const DirectoryEntry& entry : entries) {
    if (const auto number = number_of(entry.name)) {
      attempts.push_back(*number);
    }
  }
  std::sort(attempts.begin(), attempts.end());
  return attempts;
}

Result<AttemptId> CheckpointStore::begin_attempt(AttemptId floor) {
  WEIR_ASSIGN(const std::vector<AttemptId> attempts, list_attempts());
  if (attempt_ > 0 && !attempts.empty() && attempts.back() > attempt_) {
    return Error{ErrorCode::kFenced, "attempt " + std::to_string(attempt_) + " of job " +
                                         options_.job_id + " was followed by attempt " +
                                         std::to_string(attempts.back()) +
                                         " of another process, which runs the job now"};
  }
  AttemptId next = std::max(attempts.empty() ? 0 : attempts.back(), floor) + 1;
  // A lost reply costs a number, which is harmless: they need not be dense.
  constexpr int tries_max = 100;
  for (int i = 0; i < tries_max; ++i, ++next) {
    const std::string path = join_path(join_path(root_, kAttempts), std::to_string(next));
    const Status published = files_.publish(path, "");
    if (published.ok()) {
      attempt_ = next;
      WEIR_TRY(seal_unpublished());
      return next;
    }
    const ErrorCode code = published.error().code;
    if (code != ErrorCode::kAlreadyExists && code != ErrorCode::kUnknownOutcome) {
      return published.error().with_context("cannot begin attempt " + std::to_string(next));
    }
  }
  return Error{ErrorCode::kIo, "cannot begin an attempt in " + root_ +
                                   ": every number was taken or its outcome unknown"};
}

/// An older attempt looks at the attempts and publishes then; it may be paused in between. Numbers
/// above the latest checkpoint that were begun and not published are therefore taken for good, by
/// a seal in place of the manifest: publication is put-if-absent, so either that one is there, and
/// this attempt restores it, or it never will be.
Status CheckpointStore::seal_unpublished() {
  WEIR_ASSIGN(const auto entries, files_.list(root_));
  std::vector<CheckpointId> begun;
  if (planted_bug("E6")) {
    return {};
  }
  for (const DirectoryEntry& entry : entries) {
    const auto checkpoint = checkpoint_of_path(entry.name);
    if (checkpoint.has_value() && entry.is_directory) {
      begun.push_back(*checkpoint);
    }
  }
  std::sort(begun.rbegin(), begun.rend());
  for (const CheckpointId checkpoint : begun) {
    const std::string path = path_of(manifest_name_of(checkpoint));
    WEIR_ASSIGN(const bool is_there, is_published(files_, path));
    if (is_there) {
      return {};  // below a published one nothing is looked for
    }
    const Status sealed = files_.publish(path, kSeal);
    if (!sealed.ok() && sealed.error().code != ErrorCode::kAlreadyExists &&
        sealed.error().code != ErrorCode::kNotFound) {
      return sealed.error().with_context("cannot take checkpoint " + std::to_string(checkpoint) +
                                         " from older attempts");
    }
  }
  return {};
}

Status CheckpointStore::check_leading() {
  WEIR_ASSIGN(const std::vector<AttemptId> attempts, list_attempts());
  if (planted_bug("E12")) {
    return {};
  }
  if (attempts.empty() || attempt_ == 0 || attempts.back() != attempt_) {
    return Error{ErrorCode::kFenced, "attempt " + std::to_string(attempt_) + " of job " +
                                         options_.job_id +
                                         " does not lead; the highest attempt is " +
                                         std::to_string(attempts.empty() ? 0 : attempts.back())};
  }
  return {};
}

Result<CheckpointId> CheckpointStore::highest_checkpoint_id() {
  WEIR_ASSIGN(const auto entries, files_.list(root_));
  CheckpointId highest = 0;
  for (const DirectoryEntry& entry : entries) {
    if (const auto checkpoint = checkpoint_of_path(entry.name)) {
      highest = std::max(highest, *checkpoint);
    }
  }
  return highest;
}

Status CheckpointStore::begin_checkpoint(CheckpointId checkpoint) {
  const Status created = files_.create_directory(path_of(directory_of(checkpoint)));
  if (!created.ok() && created.error().code == ErrorCode::kAlreadyExists) {
    return Error{ErrorCode::kFenced, "checkpoint " + std::to_string(checkpoint) +
                                         " was begun by another run: " + created.error().message};
  }
  return created;
}

std::string CheckpointStore::new_file_name(FileScope scope, CheckpointId checkpoint,
                                           std::string_view hint) {
  WEIR_CHECK(attempt_ > 0 && checkpoint > 0);
  std::uint64_t unique = 0;
  {
    const std::lock_guard lock(name_mutex_);
    unique = planted_bug("F4") ? 0 : next_unique_++;
  }
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(unique));
  const std::string directory = scope == FileScope::kExclusive ? directory_of(checkpoint)
                                : scope == FileScope::kShared  ? std::string(kShared)
                                                               : std::string(kTaskOwned);
  return directory + "/a" + std::to_string(attempt_) + "-c" + std::to_string(checkpoint) + "-" +
         digits + "-" + safe_hint(hint);
}

std::string CheckpointStore::path_of(std::string_view name) const {
  WEIR_CHECK_MESSAGE(is_safe_relative_path(name), "unsafe name of a checkpoint file");
  return join_path(root_, name);
}

std::string CheckpointStore::directory_of(CheckpointId checkpoint) {
  return "chk-" + std::to_string(checkpoint);
}

bool CheckpointStore::is_seal(std::string_view bytes) { return bytes == kSeal; }

Result<bool> CheckpointStore::is_published(FileSystem& files, const std::string& manifest_path) {
  const auto size = files.size_bytes(manifest_path);
  if (!size.ok()) {
    return size.error().code == ErrorCode::kNotFound ? Result<bool>(false)
                                                     : Result<bool>(size.error());
  }
  if (size.value() != kSeal.size()) {
    return true;
  }
  WEIR_ASSIGN(const std::string bytes, files.read(manifest_path));
  return !is_seal(bytes);
}

std::string CheckpointStore::manifest_name_of(CheckpointId checkpoint) {
  return directory_of(checkpoint) + "/" + std::string(kManifestName);
}

Status CheckpointStore::sync_directories_of(const Manifest& manifest) {
  std::set<std::string> directories;
  for (const FileReference& file : files_of(manifest)) {
    const auto origin = origin_of(file.path);
    // The names of older files became durable with the manifest that named them first.
    if (origin.has_value() && origin->attempt == attempt_) {
      directories.insert(file.path.substr(0, file.path.find_last_of('/')));
    }
  }
  for (const std::string& directory : directories) {
    if (planted_bug("N21")) {
      break;
    }
    WEIR_TRY(files_.sync_directory(path_of(directory)));
  }
  return {};
}

Status CheckpointStore::publish(const Manifest& manifest) {
  WEIR_CHECK(manifest.job_id == options_.job_id && manifest.attempt == attempt_);
  WEIR_ASSIGN(const std::string bytes, encode_manifest(manifest));
  Status status = publish_once(manifest, bytes);
  if (!status.ok() && status.error().code == ErrorCode::kUnknownOutcome) {
    maybe_published_ = manifest.checkpoint;
  }
  return status;
}

Status CheckpointStore::publish_once(const Manifest& manifest, const std::string& bytes) {
  const Status synced = sync_directories_of(manifest);
  const Status leading = check_leading();
  if (!synced.ok() || !leading.ok()) {
    // This try did nothing; but the one before may have.
    const Error& reason = leading.ok() ? synced.error() : leading.error();
    const bool is_known =
        maybe_published_ != manifest.checkpoint || reason.code == ErrorCode::kFenced;
    return is_known ? reason : Error{ErrorCode::kUnknownOutcome, reason.message};
  }
  const std::string path = path_of(manifest_name_of(manifest.checkpoint));
  kill_point("checkpoint.before_manifest");
  const Status published = files_.publish(path, bytes);
  if (!published.ok()) {
    if (planted_bug("C10")) {
      return Error{ErrorCode::kIo, published.error().message};
    }
    WEIR_TRY(
        confirm_published(path, bytes, published.error(), maybe_published_ == manifest.checkpoint));
  }
  kill_point("checkpoint.after_manifest");
  return {};
}

/// After a failed publish: the truth is what can be read back.
Status CheckpointStore::confirm_published(const std::string& path, std::string_view bytes,
                                          const Error& failure, bool is_earlier_unknown) {
  const auto found = files_.read(path);
  if (found.ok()) {
    if (is_seal(found.value())) {
      return Error{ErrorCode::kFenced, "a newer attempt has taken the number: " + path};
    }
    if (found.value() != bytes) {
      return Error{ErrorCode::kAlreadyExists,
                   "a different manifest was published before as " + path};
    }
    // It is ours. Its name still has to be durable before anyone relies on it.
    const Status synced = files_.sync_directory(path.substr(0, path.find_last_of('/')));
    if (!synced.ok()) {
      return Error{ErrorCode::kUnknownOutcome,
                   "manifest " + path + " may not be durable: " + synced.error().message};
    }
    return {};
  }
  if (found.error().code == ErrorCode::kNotFound && failure.code != ErrorCode::kUnknownOutcome) {
    // An earlier try may have published it all the same, for a newer attempt to go on from and to
    // remove. Whoever still leads after the look knows that nobody did.
    const Status leading = is_earlier_unknown ? check_leading() : Status();
    if (leading.ok() || leading.error().code == ErrorCode::kFenced) {
      return leading.ok() ? Status(failure) : leading;
    }
  }
  return Error{ErrorCode::kUnknownOutcome, "cannot tell whether " + path +
                                               " was published: " + failure.message +
                                               "; reading it back: " + found.error().message};
}

Result<std::vector<CheckpointId>> CheckpointStore::list_published() {
  WEIR_ASSIGN(const auto entries, files_.list(root_));
  std::vector<CheckpointId> published;
  for (const DirectoryEntry& entry : entries) {
    const auto checkpoint = checkpoint_of_path(entry.name);
    if (!checkpoint.has_value() || !entry.is_directory) {
      continue;
    }
    WEIR_ASSIGN(const bool is_there, is_published(files_, path_of(manifest_name_of(*checkpoint))));
    if (is_there) {
      published.push_back(*checkpoint);
    }
  }
  std::sort(published.rbegin(), published.rend());
  return published;
}

Result<Manifest> CheckpointStore::load_once(CheckpointId checkpoint) {
  const std::string path = path_of(manifest_name_of(checkpoint));
  WEIR_ASSIGN(const std::string bytes, files_.read(path));
  if (is_seal(bytes)) {
    return Error{ErrorCode::kNotFound, "checkpoint " + path + " was given up and sealed"};
  }
  auto manifest = decode_manifest(bytes);
  if (!manifest.ok()) {
    return manifest.error().with_context("cannot read checkpoint " + path);
  }
  if (manifest.value().job_id != options_.job_id || manifest.value().checkpoint != checkpoint) {
    return Error{ErrorCode::kCorruption, "checkpoint " + path + " is of job " +
                                             manifest.value().job_id + " and has number " +
                                             std::to_string(manifest.value().checkpoint)};
  }
  return manifest;
}

Result<Manifest> CheckpointStore::load(CheckpointId checkpoint) {
  for (int tries = 1;; ++tries) {
    auto manifest = load_once(checkpoint);
    if (manifest.ok() || manifest.error().code == ErrorCode::kNotFound ||
        manifest.error().code == ErrorCode::kInvalidArgument || tries >= options_.read_attempts) {
      return manifest;
    }
    log().warn("{}; trying again", manifest.error().message);
    std::this_thread::sleep_for(options_.read_retry_delay);
  }
}

Result<std::optional<Manifest>> CheckpointStore::load_latest() {
  WEIR_ASSIGN(const std::vector<CheckpointId> published, list_published());
  for (const CheckpointId checkpoint : published) {
    auto manifest = load(checkpoint);
    if (!manifest.ok() && planted_bug("E2")) {
      continue;
    }
    if (!manifest.ok()) {
      // Never an older one: its state would lie below what the sinks have committed since.
      return manifest.error().with_context(
          "the latest checkpoint cannot be used and older ones are not tried");
    }
    if (manifest.value().kind == SnapshotKind::kSavepoint) {
      continue;  // The user's, not a point of recovery.
    }
    kill_point("restore.after_load");
    return std::optional<Manifest>(std::move(manifest).value());
  }
  return std::optional<Manifest>();
}

Result<Manifest> CheckpointStore::load_from(FileSystem& files, const std::string& path) {
  const std::string file = path.ends_with(kManifestName) ? path : join_path(path, kManifestName);
  WEIR_ASSIGN(const std::string bytes, files.read(file));
  if (is_seal(bytes)) {
    return Error{ErrorCode::kNotFound, "checkpoint " + file + " was given up and sealed"};
  }
  auto manifest = decode_manifest(bytes);
  return manifest.ok() ? manifest
                       : Result<Manifest>(manifest.error().with_context("cannot read " + file));
}

Status CheckpointStore::verify(const Manifest& manifest) {
  for (const FileReference& file : files_of(manifest)) {
    const std::string path = path_of(file.path);
    WEIR_ASSIGN(const FileSummary found, summarize_file(files_, path));
    if (found.length_bytes != file.length_bytes || found.crc32c != file.crc32c) {
      return Error{ErrorCode::kCorruption,
                   "file " + path + " of checkpoint " + std::to_string(manifest.checkpoint) +
                       " has " + std::to_string(found.length_bytes) + " bytes and CRC32C " +
                       std::to_string(found.crc32c) + ", its manifest says " +
                       std::to_string(file.length_bytes) + " and " + std::to_string(file.crc32c)};
    }
  }
  return {};
}

Status CheckpointStore::list_into(const std::string& directory, std::vector<StoredFile>& out) {
  auto entries = files_.list(join_path(root_, directory));
  if (!entries.ok()) {
    // Gone since the parent was listed.
    return entries.error().code == ErrorCode::kNotFound ? Status() : entries.status();
  }
  const TimestampMs now_ms = clock_.wall_ms();
  for (const DirectoryEntry& entry : entries.value()) {
    const std::string path = directory.empty() ? entry.name : directory + "/" + entry.name;
    out.push_back({path, entry.is_directory, now_ms - entry.modified_ms});
    if (entry.is_directory) {
      WEIR_TRY(list_into(path, out));
    }
  }
  return {};
}

Result<std::vector<StoredFile>> CheckpointStore::list_files() {
  std::vector<StoredFile> files;
  WEIR_TRY(list_into("", files));
  return files;
}

Status CheckpointStore::collect(const GarbagePlan& plan) {
  WEIR_TRY(check_leading());
  const auto remove_all = [this](const std::vector<std::string>& names) -> Status {
    for (const std::string& name : names) {
      const Status removed = files_.remove(path_of(name));
      if (!removed.ok() && removed.error().code != ErrorCode::kNotFound) {
        return removed;
      }
    }
    return {};
  };
  if (planted_bug("F6")) {
    WEIR_TRY(remove_all(plan.files));
  }
  WEIR_TRY(remove_all(plan.manifests));
  for (const std::string& directory : directories_to_sync(plan)) {
    const Status synced = files_.sync_directory(path_of(directory));
    if (!synced.ok() && synced.error().code != ErrorCode::kNotFound) {
      return synced;
    }
  }
  WEIR_TRY(remove_all(plan.files));
  for (const std::string& name : plan.directories) {
    const Status removed = files_.remove_directory(path_of(name));
    if (!removed.ok()) {
      log().debug("left for a later pass: {}", removed.error().message);
    }
  }
  return {};
}

Status CheckpointStore::collect_garbage(const GarbageOptions& options,
                                        const std::vector<std::string>& in_use,
                                        const std::vector<std::string>& released) {
  GarbageFacts facts;
  facts.released = released;
  WEIR_ASSIGN(const std::vector<AttemptId> attempts, list_attempts());
  facts.own_attempt = attempt_;
  facts.leading_attempt = attempts.empty() ? 0 : attempts.back();
  facts.grace_ms = options.grace_ms;
  facts.in_use = in_use;
  // The files first, the manifests afterwards: what a manifest published in between names is kept.
  WEIR_ASSIGN(facts.files, list_files());
  WEIR_ASSIGN(const std::vector<CheckpointId> ids, list_published());
  std::vector<PublishedCheckpoint> published;
  std::vector<Manifest> manifests;
  for (const CheckpointId id : ids) {
    if (planted_bug("E4") && !load(id).ok()) {
      continue;
    }
    WEIR_ASSIGN(Manifest manifest, load(id));
    published.push_back({id, manifest.kind});
    manifests.push_back(std::move(manifest));
  }
  const std::vector<CheckpointId> retained = retained_checkpoints(published, options.num_retained);
  for (Manifest& manifest : manifests) {
    if (std::find(retained.begin(), retained.end(), manifest.checkpoint) != retained.end()) {
      facts.retained.push_back(std::move(manifest));
    }
  }
  return collect(plan_garbage(facts));
}

Status CheckpointStore::dispose_all() {
  WEIR_TRY(check_leading());
  WEIR_ASSIGN(const std::vector<CheckpointId> published, list_published());
  GarbagePlan plan;
  // Cut short, the newest must be what is left: an older one would lie below what sinks committed.
  for (auto id = published.rbegin(); id != published.rend(); ++id) {
    plan.manifests.push_back(manifest_name_of(*id));
  }
  WEIR_ASSIGN(const std::vector<StoredFile> stored, list_files());
  WEIR_ASSIGN(const CheckpointId highest, highest_checkpoint_id());
  for (const StoredFile& file : stored) {
    const auto origin = origin_of(file.path);
    const auto checkpoint = checkpoint_of_path(file.path);
    if (!file.is_directory && origin.has_value() && origin->attempt <= attempt_) {
      plan.files.push_back(file.path);
    } else if (file.is_directory && checkpoint.has_value() && *checkpoint < highest) {
      plan.directories.push_back(file.path);
    }
  }
  return collect(plan);
}

Status CheckpointStore::publish_finished(const FinishedRecord& record) {
  WEIR_TRY(check_leading());
  std::string text = "weir finished " + std::to_string(record.checkpoint) + " " +
                     std::to_string(record.incarnation);
  for (const LineageEntry& entry : record.lineage) {
    text += " " + std::to_string(entry.incarnation) + ":" + std::to_string(entry.checkpoint);
  }
  text += "\n";
  const std::string path =
      join_path(root_, std::string(kFinishedPrefix) + std::to_string(record.checkpoint));
  kill_point("finish.before_record");
  const Status published = files_.publish(path, text);
  if (!published.ok()) {
    WEIR_TRY(confirm_published(path, text, published.error(), /*is_earlier_unknown=*/false));
  }
  kill_point("finish.after_record");
  return {};
}

Result<std::optional<FinishedRecord>> CheckpointStore::load_finished() {
  WEIR_ASSIGN(const auto entries, files_.list(root_));
  CheckpointId highest = 0;
  for (const DirectoryEntry& entry : entries) {
    if (entry.name.starts_with(kFinishedPrefix)) {
      highest = std::max(highest, number_of(entry.name.substr(kFinishedPrefix.size())).value_or(0));
    }
  }
  WEIR_ASSIGN(const std::vector<CheckpointId> published, list_published());
  if (highest == 0 || (!published.empty() && published.front() > highest)) {
    return std::optional<FinishedRecord>();
  }
  const std::string path = join_path(root_, std::string(kFinishedPrefix) + std::to_string(highest));
  WEIR_ASSIGN(const std::string text, files_.read(path));
  std::istringstream in(text);
  std::string weir;
  std::string finished;
  FinishedRecord record;
  in >> weir >> finished >> record.checkpoint >> record.incarnation;
  bool is_good = in.good() && weir == "weir" && finished == "finished" &&
                 record.checkpoint == highest && text.ends_with('\n');
  for (std::string word; is_good && in >> word;) {
    std::istringstream pair(word);
    LineageEntry entry;
    char colon = 0;
    pair >> entry.incarnation >> colon >> entry.checkpoint;
    is_good = !pair.fail() && pair.eof() && colon == ':';
    record.lineage.push_back(entry);
  }
  if (!is_good) {
    return Error{ErrorCode::kCorruption,
                 "the record that the job has finished is damaged: " + path};
  }
  return std::optional<FinishedRecord>(std::move(record));
}

}  // namespace weir::checkpoint
