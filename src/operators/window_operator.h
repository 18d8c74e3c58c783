#pragma once

#include <memory>
#include <set>
#include <vector>

#include "operators/window_slices.h"
#include "weir/window_operator.h"

namespace weir::operators {

/// Sliding and tumbling event-time windows over keyed state, one table namespace per slice.
///
/// Invariants: window_ends_ holds exactly the windows after the watermark that have a non-empty
/// slice; slices_ exactly the slices that have not been dropped.
///
/// A call emits a bounded number of results: what is left of the windows that are due waits for
/// resume(), and nothing else happens to the state before that.
class WindowOperator final : public Operator {
 public:
  explicit WindowOperator(const WindowOperatorSpec& spec);

  Status open(OperatorContext& context) override;
  void restore_watermarks(const std::vector<TimestampMs>& per_key_group) override;
  Status process_batch(BatchPtr batch, int input) override;
  Status process_watermark(TimestampMs watermark) override;
  bool is_busy() const override { return is_firing_; }
  Status resume() override;
  Status snapshot_state(CheckpointId checkpoint) override;

 private:
  struct SliceRows {
    TimestampMs slice_end;
    std::vector<std::uint32_t> rows;
  };

  /// Times a window cannot be computed for, "no time" among them, are the user's error.
  Status check_times(TimestampMs first, TimestampMs last) const;
  /// All records of one slice, none late: the common case.
  bool add_whole_batch(const Batch& batch, const KeyColumn& column, TimestampMs first,
                       TimestampMs last);
  void add_by_slice(const Batch& batch, const KeyColumn& column);
  void add_rows(const Batch& batch, const KeyColumn& column, const SliceRows& group);
  void add_late_allowed(const Batch& batch, const KeyColumn& column, std::uint32_t row,
                        TimestampMs slice_end);
  void add_one(const Batch& batch, const KeyColumn& column, std::uint32_t row,
               TimestampMs slice_end);
  void drop_late(const Batch& batch, std::uint32_t row);
  SliceRows& rows_of(TimestampMs slice_end);
  void note_slice(TimestampMs slice_end);

  /// Event time up to which the record's key group has seen all records.
  TimestampMs watermark_of(std::uint32_t hash) const;
  TimestampMs cleanup_time(TimestampMs slice_end) const;

  /// Emits a window, about `entries_left` entries at most, which it counts down. False if there is
  /// more of it. A window of several slices is emitted whole: merging holds its results anyway.
  bool fire(TimestampMs window_end, std::size_t& entries_left);
  void fire_merged(TimestampMs window_end);
  void emit(const TimeWindow& window, std::size_t count, const void* const* keys,
            const std::uint32_t* hashes, const void* const* accumulators);
  void emit_run(const TimeWindow& window, std::size_t count, const void* const* keys,
                const void* const* accumulators);
  void flush_results();
  void drop_expired_slices();

  const WindowOperatorSpec spec_;
  const WindowSlices slices_of_;
  std::unique_ptr<KeySelector::Scratch> scratch_;

  OperatorContext* context_ = nullptr;
  StateTable* table_ = nullptr;
  Counter* late_dropped_ = nullptr;

  TimestampMs watermark_ = kMinTimestamp;
  /// Restored watermarks per key group, only while some are ahead of watermark_.
  std::vector<TimestampMs> floors_;
  TimestampMs floor_max_ = kMinTimestamp;
  std::set<TimestampMs> window_ends_;
  std::set<TimestampMs> slices_;
  TimestampMs last_noted_slice_ = kMinTimestamp;
  bool is_firing_ = false;
  StateTable::ScanPosition scan_;  ///< in the window that is being emitted

  BatchPtr results_;
  BatchPtr late_;
  std::vector<void*> values_;
  std::vector<SliceRows> groups_;
  std::size_t group_count_ = 0;
  std::vector<std::byte> gathered_keys_;
  std::vector<std::uint32_t> gathered_hashes_;
  std::vector<std::uint32_t> late_allowed_rows_;
};

}  // namespace weir::operators
