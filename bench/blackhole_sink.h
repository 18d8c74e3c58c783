#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "weir/sink.h"
#include "workload.h"

namespace weir::bench {

/// What a blackhole sink has seen. Written by the sink's task, read after the job. One subtask.
struct BlackholeResult {
  RowSums sums;
  std::int64_t first_row_ns = 0;  ///< CLOCK_MONOTONIC; 0 = no row yet
};

inline std::int64_t monotonic_ns() {
  return std::chrono::steady_clock::now().time_since_epoch().count();
}

/// Counts rows, folds their hash and forgets them. T has an overload RowSums::add.
template <class T>
class BlackholeSink final : public Sink {
 public:
  explicit BlackholeSink(BlackholeResult& result) : result_(result) {}

  DeliveryGuarantee guarantee() const override { return DeliveryGuarantee::kNone; }
  const TypeOps& record_type() const override { return type_ops<T>(); }
  Status preflight(const SinkContext& /*context*/) override { return {}; }
  Result<std::unique_ptr<SinkWriter>> create_writer(
      SinkWriterContext /*context*/, const std::vector<std::string>& /*restored*/) override {
    return std::unique_ptr<SinkWriter>(std::make_unique<Writer>(result_));
  }
  Result<std::unique_ptr<Committer>> create_committer(const SinkContext& /*context*/) override {
    return std::unique_ptr<Committer>();
  }

 private:
  class Writer final : public SinkWriter {
   public:
    explicit Writer(BlackholeResult& result) : result_(result) {}

    Status write(const Batch& batch) override {
      if (result_.first_row_ns == 0) {
        result_.first_row_ns = monotonic_ns();
      }
      RowSums sums = result_.sums;
      for (const T& row : batch.records<T>()) {
        sums.add(row);
      }
      result_.sums = sums;
      return {};
    }
    Status begin_prepare(CheckpointId /*checkpoint*/) override { return {}; }
    Result<std::optional<std::vector<Committable>>> poll_prepared(
        CheckpointId /*checkpoint*/) override {
      return std::optional<std::vector<Committable>>(std::vector<Committable>{});
    }

   private:
    BlackholeResult& result_;
  };

  BlackholeResult& result_;
};

}  // namespace weir::bench
