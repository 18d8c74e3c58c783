#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "file/file_sink.h"
#include "file/part_file.h"
#include "io/file_system.h"
#include "weir/sink.h"

namespace weir::file {

/// The writer of one subtask of a file sink.
///
/// Each bucket has at most one open part. A part is *sealed* (flushed, synced, closed) on the I/O
/// executor, when it is full or when its epoch ends; an epoch is prepared when all its parts are.
/// The first failure, on whichever thread, is kept and returned by every later call.
class FileSinkWriter final : public SinkWriter {
 public:
  FileSinkWriter(SinkWriterContext context, detail::EncodeRows encode, detail::BucketOfRow bucket,
                 FileSinkSettings settings);
  ~FileSinkWriter() override;

  Status write(const Batch& batch) override;
  bool can_write() override;
  Status poll() override;
  Status begin_prepare(CheckpointId checkpoint) override;
  Result<std::optional<std::vector<Committable>>> poll_prepared(CheckpointId checkpoint) override;
  void close() override;

 private:
  /// A part that is still written. The task's thread owns it until it is sealed.
  struct OpenPart {
    PartFile file;
    std::unique_ptr<WritableFile> out;
    std::uint64_t age = 0;    ///< order of opening, to pick the one to seal when there are too many
    std::size_t counter = 0;  ///< its place in the epoch, set when sealing starts
  };
  /// The parts between two barriers. Guarded by Shared::mutex.
  struct Epoch {
    std::vector<PartFile> parts;  ///< by counter; a part is filled in when it is sealed
    std::size_t unsealed = 0;
    bool is_ended = false;
    bool is_done = false;
    CheckpointId checkpoint = 0;
    std::string final_stem;  ///< final names without counter and suffix; known when ended
  };
  /// What jobs on the I/O executor use; it outlives the writer as long as one of them runs.
  struct Shared {
    FileSystem* files = nullptr;
    std::string base_path;
    std::string suffix;
    bool is_finished_at_barrier = false;  ///< at-least-once
    std::mutex mutex;
    bool is_writer_gone = false;
    std::function<void()> wake;
    std::optional<Error> error;
    std::size_t sealing = 0;
  };

  static void seal(Shared& shared, Epoch& epoch, OpenPart& part);
  static Status seal_file(Shared& shared, OpenPart& part);
  static Status finish_files(Shared& shared, const std::vector<PartFile>& parts);
  static void finish_epoch(Shared& shared, Epoch& epoch);

  Status append(const std::string& bucket, const Batch& batch, std::size_t begin, std::size_t end);
  Result<OpenPart*> part_of(const std::string& bucket);
  void start_sealing(std::map<std::string, OpenPart>::iterator part);
  void run_blocking(std::function<void()> work);
  Status keep(Status status);
  Status first_error();
  std::string final_stem(CheckpointId checkpoint) const;

  SinkWriterContext context_;
  detail::EncodeRows encode_;
  detail::BucketOfRow bucket_;
  FileSinkSettings settings_;
  std::string tag_;
  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
  std::map<std::string, OpenPart> open_parts_;  ///< by bucket
  std::shared_ptr<Epoch> epoch_ = std::make_shared<Epoch>();
  std::deque<std::shared_ptr<Epoch>> ended_epochs_;
  std::uint64_t parts_opened_ = 0;
  Counter* records_sent_ = nullptr;  ///< null without metrics, as are the next two
  Counter* records_failed_ = nullptr;
  Counter* bytes_sent_ = nullptr;
  std::string scratch_;
};

}  // namespace weir::file
