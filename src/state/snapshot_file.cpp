#include "state/snapshot_file.h"

#include <utility>

#include "state/state_file.h"
#include "weir/check.h"

namespace weir::state {
namespace {

/// Written buffers that are kept for the next blocks.
constexpr std::size_t kFreeBuffersMax = 4;

}  // namespace

std::shared_ptr<SnapshotFile> SnapshotFile::create(FileSystem& files, std::string path,
                                                   Options options) {
  WEIR_CHECK(options.run != nullptr && options.on_done != nullptr);
  return std::shared_ptr<SnapshotFile>(
      new SnapshotFile(files, std::move(path), std::move(options)));
}

SnapshotFile::SnapshotFile(FileSystem& files, std::string path, Options options)
    : files_(files), path_(std::move(path)), options_(std::move(options)) {}

bool SnapshotFile::has_room() {
  const std::lock_guard lock(mutex_);
  return in_flight_bytes_ < options_.in_flight_bytes_max;
}

bool SnapshotFile::is_overfull() {
  const std::lock_guard lock(mutex_);
  return in_flight_bytes_ >= options_.overwritten_bytes_max;
}

bool SnapshotFile::has_failed() {
  const std::lock_guard lock(mutex_);
  return error_.has_value();
}

std::string SnapshotFile::recycle() {
  const std::lock_guard lock(mutex_);
  if (free_.empty()) {
    return {};
  }
  std::string buffer = std::move(free_.back());
  free_.pop_back();
  return buffer;
}

void SnapshotFile::submit(std::string payload) {
  {
    const std::lock_guard lock(mutex_);
    WEIR_CHECK(!is_ended_);
    if (error_.has_value()) {
      return;
    }
    in_flight_bytes_ += payload.size();
    queue_.push_back(std::move(payload));
  }
  schedule();
}

void SnapshotFile::finish(SnapshotFileInfo info) {
  {
    const std::lock_guard lock(mutex_);
    WEIR_CHECK(!is_ended_);
    is_ended_ = true;
    info_ = info;
  }
  schedule();
}

void SnapshotFile::abandon(Error reason) {
  {
    const std::lock_guard lock(mutex_);
    WEIR_CHECK(!is_ended_);
    is_ended_ = true;
    if (!error_.has_value()) {
      error_ = std::move(reason);
    }
  }
  schedule();
}

void SnapshotFile::schedule() {
  {
    const std::lock_guard lock(mutex_);
    if (is_draining_) {
      return;  // The running job looks at the queue again before it ends.
    }
    is_draining_ = true;
  }
  options_.run([self = shared_from_this()] { self->drain(); });
}

void SnapshotFile::drain() {
  for (;;) {
    std::string payload;
    {
      const std::lock_guard lock(mutex_);
      if (error_.has_value()) {
        queue_.clear();
        in_flight_bytes_ = 0;
      }
      if (queue_.empty()) {
        is_draining_ = false;
        if (!is_ended_ || is_done_) {
          return;
        }
        is_done_ = true;
        break;
      }
      payload = std::move(queue_.front());
      queue_.pop_front();
    }
    const Status status = write(payload);
    const std::lock_guard lock(mutex_);
    in_flight_bytes_ -= in_flight_bytes_ < payload.size() ? in_flight_bytes_ : payload.size();
    if (!status.ok() && !error_.has_value()) {
      error_ = status.error().with_context("writing state file " + path_);
    } else if (free_.size() < kFreeBuffersMax) {
      free_.push_back(std::move(payload));
    }
  }
  complete();
}

Status SnapshotFile::write(std::string_view payload) {
  if (!writer_.has_value()) {
    const std::uint32_t version =
        options_.is_compressed ? kCompressedStateFileVersion : kStateFileVersion;
    WEIR_ASSIGN(BlockFileWriter writer,
                BlockFileWriter::create(files_, path_, kStateFileMagic, version));
    writer_.emplace(std::move(writer));
    if (options_.is_compressed) {
      compressor_.emplace();
    }
  }
  // The index stays as it is: tools look for it without reading the rest.
  const bool is_entries = static_cast<std::uint8_t>(payload.front()) == kEntryBlock;
  const std::string_view compressed =
      compressor_.has_value() && is_entries ? compressor_->compress(payload) : std::string_view();
  return writer_->append(compressed.empty() ? payload : compressed).status();
}

/// The last thing the last job does; nothing is submitted any more.
void SnapshotFile::complete() {
  std::optional<Error> error;
  SnapshotFileInfo info;
  {
    const std::lock_guard lock(mutex_);
    error = error_;
    info = info_;
    free_.clear();
  }
  const bool is_created = writer_.has_value();
  if (!error.has_value()) {
    WEIR_CHECK(is_created);  // The index is a block, so there was at least one.
    const Result<FileSummary> summary = writer_->finish();
    if (summary.ok()) {
      info.file = summary.value();
    } else {
      error = summary.error().with_context("completing state file " + path_);
    }
  }
  writer_.reset();
  if (!error.has_value()) {
    options_.on_done(info);
    return;
  }
  if (is_created) {
    // The manifest will not name the file; if it cannot be removed, the collector of garbage will.
    static_cast<void>(files_.remove(path_).ok());
  }
  options_.on_done(std::move(*error));
}

}  // namespace weir::state
