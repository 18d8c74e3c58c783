#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>

#include "weir/batch.h"
#include "weir/time.h"

namespace weir {

/// Derives watermarks from event times; one instance per split. A watermark w promises that no
/// record with a timestamp <= w follows.
class WatermarkGenerator {
 public:
  virtual ~WatermarkGenerator() = default;
  /// Event times of a run of records, in arrival order.
  virtual void on_events(std::span<const TimestampMs> timestamps) = 0;
  /// Asked every `pipeline.auto-watermark-interval`; kMinTimestamp = none yet.
  virtual TimestampMs current_watermark() = 0;
};

/// The erased form of a WatermarkStrategy.
struct WatermarkSpec {
  /// Sets the batch's timestamps from its records; null keeps those of the source.
  std::function<void(Batch&)> assign_timestamps;
  /// Null = no watermarks.
  std::function<std::unique_ptr<WatermarkGenerator>()> create_generator;
  DurationMs idle_timeout{0};  ///< 0 = never idle
};

/// Watermark max seen - bound - 1 (Flink's BoundedOutOfOrdernessWatermarks).
std::unique_ptr<WatermarkGenerator> make_bounded_out_of_orderness_generator(DurationMs bound);

/// How event times and watermarks are derived from the records of a source.
template <class T>
class WatermarkStrategy {
 public:
  /// Records are at most `bound` behind the latest one seen so far; later ones are late.
  static WatermarkStrategy for_bounded_out_of_orderness(DurationMs bound) {
    return for_generator([bound] { return make_bounded_out_of_orderness_generator(bound); });
  }
  /// Event times never fall within a split.
  static WatermarkStrategy for_monotonous_timestamps() {
    return for_bounded_out_of_orderness(DurationMs(0));
  }
  /// Event times do not matter: no watermark before the end of the input.
  static WatermarkStrategy no_watermarks() { return WatermarkStrategy(); }
  static WatermarkStrategy for_generator(
      std::function<std::unique_ptr<WatermarkGenerator>()> create) {
    WatermarkStrategy strategy;
    strategy.spec_.create_generator = std::move(create);
    return strategy;
  }

  /// `assigner`: a function TimestampMs(const T&) or a pointer to the member that holds it.
  template <class F>
  WatermarkStrategy with_timestamp_assigner(F assigner) && {
    static_assert(std::is_invocable_r_v<TimestampMs, const F&, const T&>,
                  "weir: with_timestamp_assigner() needs a function TimestampMs(const T&) or a "
                  "pointer to a member of T that holds milliseconds since the epoch");
    spec_.assign_timestamps = [assigner = std::move(assigner)](Batch& batch) {
      const auto records = std::as_const(batch).template records<T>();
      TimestampMs* const timestamps = batch.timestamps();
      for (std::size_t i = 0; i < records.size(); ++i) {
        timestamps[i] = static_cast<TimestampMs>(std::invoke(assigner, records[i]));
      }
    };
    return std::move(*this);
  }
  /// A split without records for this long no longer holds back the watermark.
  WatermarkStrategy with_idleness(DurationMs timeout) && {
    spec_.idle_timeout = timeout;
    return std::move(*this);
  }

  const WatermarkSpec& spec() const { return spec_; }

 private:
  WatermarkSpec spec_;
};

}  // namespace weir
