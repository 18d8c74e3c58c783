#pragma once

#include <cstring>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include "weir/collector.h"
#include "weir/operator.h"

/// The operators behind map, filter and flat_map: one inlined loop over each batch, through plain
/// pointers, because a checked access per record keeps the compiler from vectorizing it.
namespace weir::detail {

/// Carries times (and, where the keys cannot have changed, nothing else) from `from` to `to`.
inline void copy_timestamps(const Batch& from, Batch& to) {
  std::memcpy(to.timestamps(), from.timestamps(), from.size() * sizeof(TimestampMs));
}

template <class T, class U, class F>
class MapOperator final : public Operator {
 public:
  explicit MapOperator(F function) : function_(std::move(function)) {}

  Status open(OperatorContext& context) override {
    output_ = &context.output();
    return {};
  }

  Status process_batch(BatchPtr batch, int /*input*/) override {
    BatchPtr result = Batch::make(type_ops<U>(), std::max(batch->size(), Batch::default_capacity(type_ops<U>())));
    const std::size_t size = batch->size();
    const T* const records = std::as_const(*batch).template records<T>().data();
    U* const out = reinterpret_cast<U*>(result->data());
    if constexpr (std::is_trivially_copyable_v<U>) {
      for (std::size_t i = 0; i < size; ++i) {
        ::new (static_cast<void*>(out + i)) U(std::invoke(function_, records[i]));
      }
      result->set_size(size);
    } else {
      for (std::size_t i = 0; i < size; ++i) {
        ::new (static_cast<void*>(out + i)) U(std::invoke(function_, records[i]));
        result->set_size(i + 1);  // so that a throwing function leaks nothing
      }
    }
    copy_timestamps(*batch, *result);
    output_->emit(std::move(result));
    return {};
  }

 private:
  F function_;
  Output* output_ = nullptr;
};

template <class T, class F>
class FilterOperator final : public Operator {
 public:
  explicit FilterOperator(F function) : function_(std::move(function)) {}

  Status open(OperatorContext& context) override {
    output_ = &context.output();
    return {};
  }

  Status process_batch(BatchPtr batch, int /*input*/) override {
    const std::size_t size = batch->size();
    T* const records = batch->template records<T>().data();
    TimestampMs* const timestamps = batch->timestamps();
    std::size_t kept = 0;
    if constexpr (std::is_trivially_copyable_v<T>) {
      for (std::size_t i = 0; i < size; ++i) {
        // Written unconditionally: a branch per record costs more than a copy.
        const bool keep = std::invoke(function_, std::as_const(records[i]));
        std::memcpy(static_cast<void*>(&records[kept]), &records[i], sizeof(T));
        timestamps[kept] = timestamps[i];
        kept += keep ? 1 : 0;
      }
      batch->set_size(kept);
    } else {
      for (std::size_t i = 0; i < size; ++i) {
        if (std::invoke(function_, std::as_const(records[i]))) {
          if (kept != i) {
            records[kept] = std::move(records[i]);
            timestamps[kept] = timestamps[i];
          }
          ++kept;
        }
      }
      for (std::size_t i = kept; i < size; ++i) {
        records[i].~T();
      }
      batch->set_size(kept);
    }
    batch->set_keyed(false);
    output_->emit(std::move(batch));
    return {};
  }

 private:
  F function_;
  Output* output_ = nullptr;
};

template <class T, class U, class F>
class FlatMapOperator final : public Operator {
 public:
  explicit FlatMapOperator(F function) : function_(std::move(function)) {}

  Status open(OperatorContext& context) override {
    collector_ = std::make_unique<Collector<U>>(context.output());
    return {};
  }

  Status process_batch(BatchPtr batch, int /*input*/) override {
    const auto records = std::as_const(*batch).template records<T>();
    for (std::size_t i = 0; i < records.size(); ++i) {
      collector_->set_timestamp(batch->timestamps()[i]);
      std::invoke(function_, records[i], *collector_);
    }
    collector_->flush();
    return {};
  }

 private:
  F function_;
  std::unique_ptr<Collector<U>> collector_;
};

}  // namespace weir::detail
