#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "weir/batch.h"
#include "weir/source.h"
#include "weir/time.h"

namespace weir::generator {

/// The settings of a generator, without its types.
struct Settings {
  std::optional<std::uint64_t> count;  ///< records in all; nothing: without end
  int splits = 0;                      ///< 0 = the parallelism of the first start
  bool has_contiguous_blocks = false;
  double records_per_second = 0;  ///< of all subtasks together; 0 = no limit
  std::size_t batch_records = 0;  ///< 0 = Batch::default_capacity
};

namespace detail {

/// Appends `count` records to an empty batch: those of index first, first + stride, ...
using FillBatch =
    std::function<void(Batch& batch, std::uint64_t first, std::uint64_t stride, std::size_t count)>;

std::shared_ptr<weir::Source> make_source(const TypeOps& type, FillBatch fill, Settings settings);

struct NoEventTime {};

template <class T, class Make, class EventTime>
void fill_batch(const Make& make, const EventTime& event_time, Batch& batch, std::uint64_t first,
                std::uint64_t stride, std::size_t count) {
  const auto time_of = [&](const T& record) -> TimestampMs {
    if constexpr (std::is_same_v<EventTime, NoEventTime>) {
      return kMinTimestamp;
    } else {
      return event_time(record);
    }
  };
  if constexpr (std::is_trivially_copyable_v<T>) {
    // Straight into the columns: no per-record size check or store.
    T* const records = reinterpret_cast<T*>(batch.data());
    TimestampMs* const timestamps = batch.timestamps();
    std::uint64_t index = first;
    for (std::size_t i = 0; i < count; ++i, index += stride) {
      timestamps[i] = time_of(*::new (static_cast<void*>(records + i)) T(make(index)));
    }
    batch.set_size(count);
  } else {
    // One by one, so that a throwing function leaves only whole records behind.
    std::uint64_t index = first;
    for (std::size_t i = 0; i < count; ++i, index += stride) {
      T record = make(index);
      const TimestampMs timestamp = time_of(record);
      batch.push_back(std::move(record), timestamp);
    }
  }
}

}  // namespace detail

/// Builds a generator source; see Source<T>.
template <class T, class Make, class EventTime = detail::NoEventTime>
class Builder {
 public:
  Builder(Make make, EventTime event_time, Settings settings)
      : make_(std::move(make)), event_time_(std::move(event_time)), settings_(settings) {}

  /// Stops after `count` records (indices 0 to count - 1). Without it the source never ends.
  Builder& with_count(std::uint64_t count) {
    settings_.count = count;
    return *this;
  }
  /// Number of splits, which bounds the parallelism that can be used, also after a rescale.
  /// Default: the parallelism of the first start.
  Builder& with_splits(int splits) {
    settings_.splits = splits;
    return *this;
  }
  /// Split i of n takes one n-th of the indices in a row instead of every n-th index, so that event
  /// time of different splits lies far apart. REQUIRES: with_count.
  Builder& with_contiguous_blocks() {
    settings_.has_contiguous_blocks = true;
    return *this;
  }
  /// At most so many records per second, all subtasks together.
  Builder& with_rate_limit(double records_per_second) {
    settings_.records_per_second = records_per_second;
    return *this;
  }
  Builder& with_batch_records(std::size_t records) {
    settings_.batch_records = records;
    return *this;
  }
  /// Event time of each record, `TimestampMs(const T&)`. Without it records have none.
  template <class Time>
  Builder<T, Make, Time> with_event_time(Time event_time) const {
    static_assert(std::is_invocable_r_v<TimestampMs, const Time&, const T&>,
                  "weir: with_event_time() needs a const-callable TimestampMs(const T& record)");
    return Builder<T, Make, Time>(make_, std::move(event_time), settings_);
  }

  std::shared_ptr<weir::Source> build() const {
    return detail::make_source(
        type_ops<T>(),
        [make = make_, event_time = event_time_](Batch& batch, std::uint64_t first,
                                                 std::uint64_t stride, std::size_t count) {
          detail::fill_batch<T>(make, event_time, batch, first, stride, count);
        },
        settings_);
  }

 private:
  Make make_;
  EventTime event_time_;
  Settings settings_;
};

/// Makes records from their index, like Flink's DataGeneratorSource:
///
///   generator::Source<Trade>::from([](std::uint64_t index) { return Trade{...}; })
///       .with_count(1'000'000).with_event_time([](const Trade& t) { return t.time_ms; }).build();
///
/// The function must be pure, and is called from several threads at once. The indices are dealt out
/// in splits; split i of n makes the indices i, i + n, i + 2n, ... The records made are the same at
/// every parallelism and after every restart; the state of a split is its next index.
template <class T>
struct Source {
  template <class Make>
  static Builder<T, Make> from(Make make) {
    static_assert(
        std::is_invocable_r_v<T, const Make&, std::uint64_t>,
        "weir: generator::Source<T>::from() needs a const-callable T(std::uint64_t index)");
    return Builder<T, Make>(std::move(make), {}, {});
  }
};

}  // namespace weir::generator
