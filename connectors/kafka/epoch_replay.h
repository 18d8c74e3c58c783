#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kafka/committable.h"
#include "kafka/producer_handle.h"
#include "weir/result.h"
#include "weir/sink.h"

namespace weir::kafka {

/// Produces an epoch that the broker rolled back once more, from its replay log, into a transaction
/// of its own, and commits it. In slices of a few seconds, because a large epoch takes longer than
/// an I/O thread may be kept from other commits.
class EpochReplay {
 public:
  /// REQUIRES: `producer` has initialised the epoch's transactional id, and the marker, read after
  /// that, proved that nothing of the epoch is visible.
  EpochReplay(std::shared_ptr<ProducerHandle> producer, Committable committable,
              PreparedTransaction prepared, CheckpointFiles* files, LineageEntry branch);

  enum class Progress {
    kGoingOn,    ///< call again
    kCommitted,  ///< proved
    kUnproved,   ///< the commit's outcome is unknown: the marker will tell
  };
  /// Blocks until `slice_end` and for one request to the broker at most. After an error the
  /// transaction is rolled back, and so it is when nothing moved for a minute: replay anew.
  Result<Progress> run_slice(Deadline slice_end);
  /// "1200 of 5000 records".
  std::string how_far() const;
  /// What the client said last.
  const std::string& detail() const { return detail_; }

 private:
  enum class Step { kProduce, kFlush, kMark, kCommit };

  Result<Progress> run_steps();
  /// Each: true when it is done, false when the slice is over.
  Result<bool> produce();
  Status load_chunk();
  Result<bool> flush();

  const std::shared_ptr<ProducerHandle> producer_;
  const Committable committable_;
  const PreparedTransaction prepared_;
  const LineageEntry branch_;  ///< where the epoch's line branched off
  CheckpointFiles* const files_;

  Step step_ = Step::kProduce;
  bool has_begun_ = false;
  std::size_t next_chunk_ = 0;
  std::vector<Record> records_;  ///< of the chunk before that
  std::size_t next_record_ = 0;
  std::int64_t produced_ = 0;
  int outstanding_ = 0;
  Deadline slice_end_{};
  Deadline stalled_at_;
  std::string detail_;
};

}  // namespace weir::kafka
