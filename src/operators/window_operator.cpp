#include "operators/window_operator.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "operators/merge_table.h"
#include "operators/window_geometry.h"

namespace weir {

std::unique_ptr<Operator> make_window_operator(const WindowOperatorSpec& spec) {
  return std::make_unique<operators::WindowOperator>(spec);
}

std::string problem_of(const SlidingWindowSpec& windows, DurationMs allowed_lateness) {
  constexpr std::int64_t kWindowsPerRecordMax = 10'000'000;
  constexpr std::int64_t kLongestMs = std::int64_t{1} << 60;
  if (windows.size.count() <= 0 || windows.slide.count() <= 0) {
    return "a window's size and slide must be at least 1 ms";
  }
  if (windows.size.count() > kLongestMs || windows.slide.count() > kLongestMs) {
    return "a window's size and slide must be at most 2^60 ms";
  }
  if (std::abs(windows.offset.count()) >= windows.slide.count()) {
    return "a window's offset must be smaller than its slide";
  }
  if (windows.size / windows.slide > kWindowsPerRecordMax) {
    return "a record would belong to more than 10 million windows: choose a larger slide";
  }
  if (allowed_lateness.count() < 0) {
    return "allowed_lateness() must not be negative";
  }
  return {};
}

namespace operators {
namespace {

/// Entries that one call emits, and between two looks at whether the output is full.
constexpr std::size_t kEntriesPerCall = 32 * 1024;
constexpr std::size_t kEntriesPerPortion = 2048;

constexpr TimestampMs saturating_add(TimestampMs a, TimestampMs b) {
  return a > kMaxTimestamp - b ? kMaxTimestamp : a + b;
}

/// Earliest and latest event time. Written so that it is vectorized, as std::minmax_element is not.
std::pair<TimestampMs, TimestampMs> time_range(const Batch& batch) {
  const TimestampMs* const times = batch.timestamps();
  TimestampMs first = kMaxTimestamp;
  TimestampMs last = kMinTimestamp;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    first = std::min(first, times[i]);
    last = std::max(last, times[i]);
  }
  return {first, last};
}

}  // namespace

WindowOperator::WindowOperator(const WindowOperatorSpec& spec)
    : spec_(spec), slices_of_(spec.windows), scratch_(spec.keys->make_scratch()) {}

Status WindowOperator::open(OperatorContext& context) {
  context_ = &context;
  late_dropped_ = &context.metrics().counter("numLateRecordsDropped");
  WEIR_ASSIGN(const OperatorStateBackend::Restored geometries,
              context.operator_state().open({kWindowGeometryList,
                                             OperatorStateBackend::Redistribution::kUnion, nullptr,
                                             &type_ops<WindowGeometry>()}));
  WEIR_TRY(check_geometry(geometries.items, spec_.windows));
  WEIR_ASSIGN(table_, context.keyed_state().open_table({"window-contents", &spec_.keys->key_type(),
                                                        &spec_.functions->accumulator_type(),
                                                        spec_.functions->initial_accumulator()}));
  for (const TimestampMs slice_end : table_->namespaces()) {
    note_slice(slice_end);
  }
  return {};
}

Status WindowOperator::snapshot_state(CheckpointId /*checkpoint*/) {
  // Without contents there is nothing that other windows could take for theirs.
  std::vector<std::string> items;
  if (!slices_.empty()) {
    items.push_back(encode_geometry(spec_.windows));
  }
  context_->operator_state().set(kWindowGeometryList, std::move(items));
  return {};
}

void WindowOperator::restore_watermarks(const std::vector<TimestampMs>& per_key_group) {
  if (per_key_group.empty()) {
    return;
  }
  const auto [lowest, highest] = std::minmax_element(per_key_group.begin(), per_key_group.end());
  watermark_ = *lowest;
  floor_max_ = *highest;
  if (floor_max_ > watermark_) {
    floors_ = per_key_group;
  }
  window_ends_.erase(window_ends_.begin(), window_ends_.upper_bound(saturating_add(watermark_, 1)));
}

Status WindowOperator::process_batch(BatchPtr batch, int /*input*/) {
  const auto [first, last] = time_range(*batch);
  WEIR_TRY(check_times(first, last));
  const KeyColumn column = spec_.keys->keys(*batch, *scratch_);
  if (!add_whole_batch(*batch, column, first, last)) {
    add_by_slice(*batch, column);
  }
  flush_results();
  if (late_ != nullptr) {
    context_->side_output(0).emit(std::move(late_));
  }
  return context_->keyed_state().status();
}

Status WindowOperator::check_times(TimestampMs first, TimestampMs last) const {
  if (first == kMinTimestamp) {
    return Error{ErrorCode::kUser,
                 "a record without an event time came to an event-time window: give the source's "
                 "watermark strategy a with_timestamp_assigner()"};
  }
  const TimestampMs margin = 2 * (slices_of_.window_size() + slices_of_.slide());
  if (first < kMinTimestamp + margin || last > kMaxTimestamp - margin) {
    return Error{ErrorCode::kUser,
                 "no window can hold the event time " + std::to_string(last > 0 ? last : first)};
  }
  return {};
}

bool WindowOperator::add_whole_batch(const Batch& batch, const KeyColumn& column, TimestampMs first,
                                     TimestampMs last) {
  const TimestampMs slice_end = slices_of_.slice_end(first);
  if (slice_end == WindowSlices::kNoSlice || last >= slice_end) {
    return false;
  }
  if (slices_of_.first_window_end(slice_end) - 1 <= std::max(watermark_, floor_max_)) {
    return false;  // late for at least one window
  }
  note_slice(slice_end);
  values_.resize(column.count);
  table_->upsert(slice_end, column, values_.data());
  if (context_->keyed_state().status().ok()) {
    spec_.functions->add(batch, nullptr, column.count, values_.data());
  }
  return true;
}

void WindowOperator::add_by_slice(const Batch& batch, const KeyColumn& column) {
  group_count_ = 0;
  late_allowed_rows_.clear();
  const TimestampMs newest_watermark = std::max(watermark_, floor_max_);
  for (std::uint32_t row = 0; row < batch.size(); ++row) {
    const TimestampMs time = batch.timestamps()[row];
    const TimestampMs slice_end = slices_of_.slice_end(time);
    if (slice_end == WindowSlices::kNoSlice) {
      // In no window: it vanishes, unless it is late as well.
      if (saturating_add(time, spec_.allowed_lateness.count()) <=
          watermark_of(column.hashes[row])) {
        drop_late(batch, row);
      }
      continue;
    }
    if (slices_of_.first_window_end(slice_end) - 1 > newest_watermark) {
      rows_of(slice_end).rows.push_back(row);
      continue;
    }
    const TimestampMs watermark = watermark_of(column.hashes[row]);
    if (cleanup_time(slice_end) <= watermark) {
      drop_late(batch, row);
    } else if (slices_of_.first_window_end(slice_end) - 1 <= watermark) {
      late_allowed_rows_.push_back(row);
    } else {
      rows_of(slice_end).rows.push_back(row);
    }
  }
  for (std::size_t i = 0; i < group_count_; ++i) {
    note_slice(groups_[i].slice_end);
    add_rows(batch, column, groups_[i]);
  }
  for (const std::uint32_t row : late_allowed_rows_) {
    add_late_allowed(batch, column, row, slices_of_.slice_end(batch.timestamps()[row]));
  }
}

WindowOperator::SliceRows& WindowOperator::rows_of(TimestampMs slice_end) {
  // Few slices are open at a time, and neighbours mostly share one: look at the latest first.
  for (std::size_t i = group_count_; i-- > 0;) {
    if (groups_[i].slice_end == slice_end) {
      return groups_[i];
    }
  }
  if (group_count_ == groups_.size()) {
    groups_.emplace_back();
  }
  SliceRows& group = groups_[group_count_++];
  group.slice_end = slice_end;
  group.rows.clear();
  return group;
}

void WindowOperator::add_rows(const Batch& batch, const KeyColumn& column, const SliceRows& group) {
  const TypeOps& key = spec_.keys->key_type();
  if (!key.is_trivially_copyable) {
    for (const std::uint32_t row : group.rows) {
      add_one(batch, column, row, group.slice_end);
    }
    return;
  }
  const std::size_t count = group.rows.size();
  gathered_keys_.resize(count * key.size);
  gathered_hashes_.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    std::memcpy(gathered_keys_.data() + i * key.size, column.data + group.rows[i] * column.stride,
                key.size);
    gathered_hashes_[i] = column.hashes[group.rows[i]];
  }
  values_.resize(count);
  table_->upsert(group.slice_end, {gathered_keys_.data(), key.size, gathered_hashes_.data(), count},
                 values_.data());
  if (context_->keyed_state().status().ok()) {
    spec_.functions->add(batch, group.rows.data(), count, values_.data());
  }
}

void WindowOperator::add_one(const Batch& batch, const KeyColumn& column, std::uint32_t row,
                             TimestampMs slice_end) {
  void* value =
      table_->find_or_create(slice_end, column.data + row * column.stride, column.hashes[row]);
  if (context_->keyed_state().status().ok()) {
    spec_.functions->add(batch, &row, 1, &value);
  }
}

void WindowOperator::add_late_allowed(const Batch& batch, const KeyColumn& column,
                                      std::uint32_t row, TimestampMs slice_end) {
  note_slice(slice_end);
  add_one(batch, column, row, slice_end);
  if (!context_->keyed_state().status().ok()) {
    return;
  }
  const void* key = column.data + row * column.stride;
  const std::uint32_t hash = column.hashes[row];
  const TimestampMs watermark = watermark_of(hash);
  // Each window that has fired and is still kept fires again, at once, for this key.
  for (TimestampMs end = slices_of_.first_window_end(slice_end);
       end <= slices_of_.last_window_end(slice_end) && end - 1 <= watermark;
       end += slices_of_.slide()) {
    if (saturating_add(end - 1, spec_.allowed_lateness.count()) <= watermark) {
      continue;
    }
    std::size_t slices_in_window = 0;
    MergeTable merged(spec_.keys->key_type(), *spec_.functions, 1);
    for (TimestampMs slice = end; slice > end - slices_of_.window_size();
         slice -= slices_of_.slice_size()) {
      const void* accumulator = table_->find(slice, key, hash);
      if (accumulator != nullptr) {
        merged.add(key, hash, accumulator);
        ++slices_in_window;
      }
    }
    if (slices_in_window > 0) {
      const void* accumulator = merged.accumulator(0);
      emit_run(slices_of_.window(end), 1, &key, &accumulator);
    }
  }
}

void WindowOperator::drop_late(const Batch& batch, std::uint32_t row) {
  if (!spec_.has_late_output) {
    late_dropped_->add();
    return;
  }
  if (late_ == nullptr) {
    late_ = Batch::make(batch.type(), Batch::default_capacity(batch.type()));
  }
  late_->append_copy(batch, row);
  if (late_->full()) {
    context_->side_output(0).emit(std::move(late_));
  }
}

void WindowOperator::note_slice(TimestampMs slice_end) {
  if (slice_end == last_noted_slice_) {
    return;
  }
  last_noted_slice_ = slice_end;
  slices_.insert(slice_end);
  for (TimestampMs end = slices_of_.first_window_end(slice_end);
       end <= slices_of_.last_window_end(slice_end); end += slices_of_.slide()) {
    if (end - 1 > watermark_) {
      window_ends_.insert(end);
    }
  }
}

TimestampMs WindowOperator::watermark_of(std::uint32_t hash) const {
  if (floors_.empty()) {
    return watermark_;
  }
  const SubtaskInfo& info = context_->info();
  const int group = key_group_of(hash, info.max_parallelism) - info.key_groups.first;
  return std::max(watermark_, floors_[static_cast<std::size_t>(group)]);
}

TimestampMs WindowOperator::cleanup_time(TimestampMs slice_end) const {
  return saturating_add(slices_of_.last_window_end(slice_end) - 1, spec_.allowed_lateness.count());
}

Status WindowOperator::process_watermark(TimestampMs watermark) {
  if (watermark <= watermark_) {
    return {};  // restored further ahead than the sources are by now
  }
  watermark_ = watermark;
  is_firing_ = true;
  return resume();
}

Status WindowOperator::resume() {
  std::size_t entries_left = kEntriesPerCall;
  while (!window_ends_.empty() && *window_ends_.begin() - 1 <= watermark_) {
    if (entries_left == 0 || context_->output().is_full()) {
      return {};
    }
    const bool is_whole = fire(*window_ends_.begin(), entries_left);
    WEIR_TRY(context_->keyed_state().status());
    if (is_whole) {
      window_ends_.erase(window_ends_.begin());
    }
  }
  drop_expired_slices();
  if (watermark_ >= floor_max_) {
    floors_.clear();
    floor_max_ = kMinTimestamp;
  }
  is_firing_ = false;
  return context_->keyed_state().status();
}

bool WindowOperator::fire(TimestampMs window_end, std::size_t& entries_left) {
  if (!slices_of_.is_single_slice()) {
    fire_merged(window_end);
    flush_results();
    return true;
  }
  bool has_more = true;
  while (has_more && entries_left > 0 && !context_->output().is_full()) {
    const std::size_t portion = std::min(entries_left, kEntriesPerPortion);
    entries_left -= portion;
    has_more =
        table_->scan(window_end, scan_, portion,
                     [&](std::size_t count, const void* const* keys, const std::uint32_t* hashes,
                         const void* const* accumulators) {
                       emit(slices_of_.window(window_end), count, keys, hashes, accumulators);
                     });
  }
  flush_results();
  if (!has_more) {
    scan_ = {};
  }
  return !has_more;
}

void WindowOperator::fire_merged(TimestampMs window_end) {
  std::size_t entries = 0;
  std::vector<TimestampMs> present;
  for (TimestampMs slice = window_end - slices_of_.window_size() + slices_of_.slice_size();
       slice <= window_end; slice += slices_of_.slice_size()) {
    if (slices_.contains(slice)) {
      present.push_back(slice);
      entries += table_->size(slice);
    }
  }
  MergeTable merged(spec_.keys->key_type(), *spec_.functions, entries);
  for (const TimestampMs slice : present) {
    table_->for_each_run(slice, [&](std::size_t count, const void* const* keys,
                                    const std::uint32_t* hashes, const void* const* accumulators) {
      for (std::size_t i = 0; i < count; ++i) {
        merged.add(keys[i], hashes[i], accumulators[i]);
      }
    });
  }
  constexpr std::size_t kRun = 256;
  const void* accumulators[kRun];
  for (std::size_t begin = 0; begin < merged.size(); begin += kRun) {
    const std::size_t count = std::min(kRun, merged.size() - begin);
    for (std::size_t i = 0; i < count; ++i) {
      accumulators[i] = merged.accumulator(begin + i);
    }
    emit(slices_of_.window(window_end), count, merged.keys() + begin, merged.hashes() + begin,
         accumulators);
  }
}

void WindowOperator::emit(const TimeWindow& window, std::size_t count, const void* const* keys,
                          const std::uint32_t* hashes, const void* const* accumulators) {
  if (floors_.empty()) {
    emit_run(window, count, keys, accumulators);
    return;
  }
  // After a rescale this window has fired already for some of the key groups.
  for (std::size_t i = 0; i < count; ++i) {
    const SubtaskInfo& info = context_->info();
    const int group = key_group_of(hashes[i], info.max_parallelism) - info.key_groups.first;
    if (floors_[static_cast<std::size_t>(group)] < window.max_timestamp()) {
      emit_run(window, 1, keys + i, accumulators + i);
    }
  }
}

void WindowOperator::emit_run(const TimeWindow& window, std::size_t count, const void* const* keys,
                              const void* const* accumulators) {
  while (count > 0) {
    if (results_ == nullptr) {
      const TypeOps& type = spec_.functions->result_type();
      results_ = Batch::make(type, Batch::default_capacity(type));
    }
    const std::size_t run = std::min(count, results_->capacity() - results_->size());
    spec_.functions->emit(window, run, keys, accumulators, *results_);
    keys += run;
    accumulators += run;
    count -= run;
    if (results_->full()) {
      flush_results();
    }
  }
}

void WindowOperator::flush_results() {
  if (results_ != nullptr) {
    context_->output().emit(std::move(results_));
  }
}

void WindowOperator::drop_expired_slices() {
  while (!slices_.empty() && cleanup_time(*slices_.begin()) <= watermark_) {
    table_->drop_namespace(*slices_.begin());
    slices_.erase(slices_.begin());
  }
  last_noted_slice_ = kMinTimestamp;
}

}  // namespace operators
}  // namespace weir
