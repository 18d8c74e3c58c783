#include "file/file_sink_writer.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/crc32c.h"
#include "base/failpoint.h"

namespace weir::file {
namespace {

/// Each open part holds a descriptor and a buffer of some megabytes.
constexpr std::size_t kOpenPartsMax = 32;
/// More parts being sealed than this mean that the disk does not keep up.
constexpr std::size_t kSealingMax = 16;

}  // namespace

FileSinkWriter::FileSinkWriter(SinkWriterContext context, detail::EncodeRows encode,
                               detail::BucketOfRow bucket, FileSinkSettings settings)
    : context_(std::move(context)),
      encode_(std::move(encode)),
      bucket_(std::move(bucket)),
      settings_(std::move(settings)),
      tag_(sink_tag(context_.sink.pipeline_id, context_.sink.sink_uid)) {
  shared_->files = settings_.files;
  shared_->base_path = settings_.path;
  shared_->suffix = settings_.suffix;
  shared_->is_finished_at_barrier = settings_.guarantee == DeliveryGuarantee::kAtLeastOnce;
  shared_->wake = context_.wake;
  if (context_.metrics != nullptr) {
    records_sent_ = &context_.metrics->counter("numRecordsSend");
    records_failed_ = &context_.metrics->counter("numRecordsSendErrors");
    bytes_sent_ = &context_.metrics->counter("numBytesSend");
  }
}

FileSinkWriter::~FileSinkWriter() {
  const std::lock_guard lock(shared_->mutex);
  shared_->is_writer_gone = true;
}

Status FileSinkWriter::first_error() {
  const std::lock_guard lock(shared_->mutex);
  return shared_->error.has_value() ? Status(*shared_->error) : Status();
}

Status FileSinkWriter::keep(Status status) {
  if (!status.ok()) {
    const std::lock_guard lock(shared_->mutex);
    if (!shared_->error.has_value()) {
      shared_->error = status.error().with_context("file sink " + context_.sink.sink_uid);
    }
    return *shared_->error;
  }
  return status;
}

Status FileSinkWriter::write(const Batch& batch) {
  WEIR_TRY(first_error());
  if (bucket_ == nullptr) {
    return keep(append({}, batch, 0, batch.size()));
  }
  // Neighbours of the same bucket are written together.
  std::size_t begin = 0;
  std::string bucket;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    std::string next = bucket_(batch, i);
    if (i > begin && next != bucket) {
      WEIR_TRY(keep(append(bucket, batch, begin, i)));
      begin = i;
    }
    bucket = std::move(next);
  }
  return batch.empty() ? Status() : keep(append(bucket, batch, begin, batch.size()));
}

Status FileSinkWriter::append(const std::string& bucket, const Batch& batch, std::size_t begin,
                              std::size_t end) {
  if (begin == end) {
    return {};
  }
  scratch_.clear();
  encode_(batch, begin, end, scratch_);
  WEIR_ASSIGN(OpenPart* const part, part_of(bucket));
  const Status appended = part->out->append(scratch_);
  if (records_sent_ != nullptr) {
    (appended.ok() ? records_sent_ : records_failed_)->add(static_cast<std::int64_t>(end - begin));
    bytes_sent_->add(static_cast<std::int64_t>(scratch_.size()));
  }
  WEIR_TRY(appended);
  part->file.crc32c = crc32c(scratch_, part->file.crc32c);
  part->file.length_bytes += scratch_.size();
  if (part->file.length_bytes >= settings_.part_bytes_max) {
    start_sealing(open_parts_.find(bucket));
  }
  return {};
}

Result<FileSinkWriter::OpenPart*> FileSinkWriter::part_of(const std::string& bucket) {
  const auto found = open_parts_.find(bucket);
  if (found != open_parts_.end()) {
    return &found->second;
  }
  WEIR_TRY(check_bucket(bucket));
  if (open_parts_.size() >= kOpenPartsMax) {
    start_sealing(
        std::min_element(open_parts_.begin(), open_parts_.end(),
                         [](const auto& a, const auto& b) { return a.second.age < b.second.age; }));
  }
  OpenPart part;
  part.age = parts_opened_++;
  part.file.bucket = bucket;
  part.file.hidden_name = format_hidden_name({settings_.prefix, tag_, context_.subtask.subtask,
                                              context_.sink.attempt, make_unique_part()});
  const std::string directory = directory_of(settings_.path, bucket);
  WEIR_TRY(settings_.files->create_directories(directory));
  WEIR_ASSIGN(part.out,
              settings_.files->create_writer(join_path(directory, part.file.hidden_name)));
  return &open_parts_.emplace(bucket, std::move(part)).first->second;
}

bool FileSinkWriter::can_write() {
  const std::lock_guard lock(shared_->mutex);
  // A failed writer takes (and refuses) records, so that the failure is seen.
  return shared_->sealing < kSealingMax || shared_->error.has_value();
}

Status FileSinkWriter::poll() { return first_error(); }

void FileSinkWriter::run_blocking(std::function<void()> work) {
  if (context_.run_blocking != nullptr) {
    context_.run_blocking(std::move(work));
  } else {
    work();
  }
}

void FileSinkWriter::start_sealing(std::map<std::string, OpenPart>::iterator part) {
  // std::function needs a copyable closure, hence the shared part.
  auto sealed = std::make_shared<OpenPart>(std::move(part->second));
  open_parts_.erase(part);
  {
    const std::lock_guard lock(shared_->mutex);
    sealed->counter = epoch_->parts.size();
    epoch_->parts.emplace_back();
    ++epoch_->unsealed;
    ++shared_->sealing;
  }
  run_blocking([shared = shared_, epoch = epoch_, sealed] { seal(*shared, *epoch, *sealed); });
}

Status FileSinkWriter::seal_file(Shared& shared, OpenPart& part) {
  kill_point("file.sink.before_sync");
  WEIR_TRY(part.out->sync());
  WEIR_TRY(part.out->close());
  WEIR_TRY(shared.files->sync_directory(directory_of(shared.base_path, part.file.bucket)));
  kill_point("file.sink.after_sync");
  return {};
}

void FileSinkWriter::seal(Shared& shared, Epoch& epoch, OpenPart& part) {
  const Status sealed = seal_file(shared, part);
  part.out.reset();
  bool is_last = false;
  {
    const std::lock_guard lock(shared.mutex);
    if (!sealed.ok() && !shared.error.has_value()) {
      shared.error = sealed.error().with_context("file sink");
    }
    epoch.parts[part.counter] = std::move(part.file);
    --epoch.unsealed;
    --shared.sealing;
    is_last = epoch.is_ended && epoch.unsealed == 0;
    if (!is_last && !shared.is_writer_gone && shared.wake != nullptr) {
      shared.wake();
    }
  }
  if (is_last) {
    finish_epoch(shared, epoch);
  }
}

Status FileSinkWriter::finish_files(Shared& shared, const std::vector<PartFile>& parts) {
  std::set<std::string> directories;
  for (const PartFile& part : parts) {
    const std::string directory = directory_of(shared.base_path, part.bucket);
    WEIR_TRY(shared.files->rename_no_replace(join_path(directory, part.hidden_name),
                                             join_path(directory, part.final_name)));
    directories.insert(directory);
  }
  for (const std::string& directory : directories) {
    WEIR_TRY(shared.files->sync_directory(directory));
  }
  return {};
}

void FileSinkWriter::finish_epoch(Shared& shared, Epoch& epoch) {
  // Nobody else touches an ended epoch whose parts are all sealed until it is done.
  for (std::size_t counter = 0; counter < epoch.parts.size(); ++counter) {
    epoch.parts[counter].final_name =
        epoch.final_stem + "-" + std::to_string(counter) + shared.suffix;
  }
  Status finished;
  if (shared.is_finished_at_barrier) {
    finished = finish_files(shared, epoch.parts);
  }
  const std::lock_guard lock(shared.mutex);
  if (!finished.ok() && !shared.error.has_value()) {
    shared.error = finished.error().with_context("file sink");
  }
  epoch.is_done = true;
  if (!shared.is_writer_gone && shared.wake != nullptr) {
    shared.wake();
  }
}

std::string FileSinkWriter::final_stem(CheckpointId checkpoint) const {
  // A job that never branched needs no more than the number: there is one line only.
  const std::int64_t incarnation = context_.sink.lineage.empty() ? 0 : context_.sink.incarnation;
  std::string stem = format_final_stem(settings_.prefix, tag_, context_.subtask.subtask,
                                       {checkpoint, incarnation});
  if (shared_->is_finished_at_barrier) {
    // Without a commit nothing keeps a repeated checkpoint number from meeting its first files.
    stem += "-a" + std::to_string(context_.sink.attempt);
  }
  return stem;
}

Status FileSinkWriter::begin_prepare(CheckpointId checkpoint) {
  WEIR_TRY(first_error());
  const std::shared_ptr<Epoch> ended = epoch_;
  while (!open_parts_.empty()) {
    start_sealing(open_parts_.begin());
  }
  epoch_ = std::make_shared<Epoch>();
  ended_epochs_.push_back(ended);
  bool is_sealed = false;
  {
    const std::lock_guard lock(shared_->mutex);
    ended->checkpoint = checkpoint;
    ended->final_stem = final_stem(checkpoint);
    ended->is_ended = true;
    is_sealed = ended->unsealed == 0;
  }
  if (is_sealed && (ended->parts.empty() || !shared_->is_finished_at_barrier)) {
    finish_epoch(*shared_, *ended);
  } else if (is_sealed) {
    run_blocking([shared = shared_, ended] { finish_epoch(*shared, *ended); });
  }
  return {};
}

Result<std::optional<std::vector<Committable>>> FileSinkWriter::poll_prepared(
    CheckpointId checkpoint) {
  const std::lock_guard lock(shared_->mutex);
  if (shared_->error.has_value()) {
    return *shared_->error;
  }
  const auto found =
      std::find_if(ended_epochs_.begin(), ended_epochs_.end(),
                   [&](const auto& epoch) { return epoch->checkpoint == checkpoint; });
  WEIR_CHECK_MESSAGE(found != ended_epochs_.end(), "poll_prepared without begin_prepare");
  const Epoch& epoch = **found;
  if (!epoch.is_done) {
    return std::optional<std::vector<Committable>>();
  }
  std::vector<Committable> committables;
  if (!shared_->is_finished_at_barrier && !epoch.parts.empty()) {
    Committable committable;
    committable.id = {context_.sink.sink_uid, context_.subtask.subtask, checkpoint,
                      context_.sink.attempt, context_.sink.incarnation};
    committable.payload = encode_prepared({settings_.path, epoch.parts});
    committables.push_back(std::move(committable));
  }
  ended_epochs_.erase(found);
  return std::optional(std::move(committables));
}

void FileSinkWriter::close() {
  for (auto& [bucket, part] : open_parts_) {
    part.out.reset();
    // What cannot be removed now is removed by the next attempt.
    (void)settings_.files->remove(
        join_path(directory_of(settings_.path, bucket), part.file.hidden_name));
  }
  open_parts_.clear();
}

}  // namespace weir::file
