#include "job.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <iterator>
#include <limits>
#include <memory>

#include <fmt/format.h>
#include <unistd.h>

#include "file/file_sink.h"
#include "generator/source.h"
#include "job_report.h"
#include "payment.h"
#include "weir/config_options.h"
#include "weir/environment.h"

namespace demo {
namespace {

using weir::DataStream;
using weir::DurationMs;
using weir::TimestampMs;
using weir::TimeWindow;

/// The first payment of each branch that this process makes tells where its restored checkpoint
/// stands: JobStatus counts records per process.
class RestoredPosition {
 public:
  void note(std::uint64_t index) {
    std::atomic<std::uint64_t>& first = first_[index % kBranches];
    if (first.load(std::memory_order_relaxed) == kUnknown) [[unlikely]] {
      first.store(index, std::memory_order_relaxed);
    }
  }
  /// Payments before the restored position; -1 until payments are made.
  std::int64_t records() const {
    std::uint64_t sum = 0;
    std::uint64_t known = 0;
    for (const auto& first : first_) {
      const std::uint64_t index = first.load(std::memory_order_relaxed);
      if (index != kUnknown) {
        sum += index / kBranches;
        ++known;
      }
    }
    return known == 0 ? -1 : static_cast<std::int64_t>(sum * kBranches / known);
  }

 private:
  static constexpr std::uint64_t kUnknown = std::numeric_limits<std::uint64_t>::max();
  std::array<std::atomic<std::uint64_t>, kBranches> first_{kUnknown, kUnknown, kUnknown, kUnknown};
};

struct RunningTotal {
  std::int64_t count = 0;
  std::int64_t total_cents = 0;
};

struct AccountTotal {
  std::uint32_t account = 0;
  bool is_final = false;
  RunningTotal total;
};

/// Running total per account: a result every few payments, and the last word when time has passed
/// the last payment.
class AccountTotals : public weir::KeyedProcessFunction<std::uint32_t, Payment, AccountTotal> {
 public:
  explicit AccountTotals(TimestampMs closing_time) : closing_time_(closing_time) {}

  void open(OpenContext& context) override { total_ = context.value_state<RunningTotal>("total"); }
  void process_element(const Payment& payment, Context& context,
                       weir::Collector<AccountTotal>& out) override {
    RunningTotal& total = total_.mutable_value();
    total.total_cents += payment.amount_cents;
    if (++total.count % kPaymentsPerResult == 0) {
      out.collect(AccountTotal{payment.account, false, total});
    }
    if (total.count == 1) {
      context.timer_service().register_event_time_timer(closing_time_);
    }
  }
  void on_timer(TimestampMs /*time*/, Context& context,
                weir::Collector<AccountTotal>& out) override {
    out.collect(AccountTotal{context.current_key(), true, *total_.value()});
    total_.clear();
  }

 private:
  TimestampMs closing_time_;
  weir::ValueState<RunningTotal> total_;
};

struct Sales {
  struct Accumulator {
    std::int64_t count = 0;
    std::int64_t sum_cents = 0;
    std::int64_t max_cents = 0;
  };
  Accumulator create_accumulator() const { return {}; }
  void add(Accumulator& into, const Payment& payment) const {
    ++into.count;
    into.sum_cents += payment.amount_cents;
    into.max_cents = std::max(into.max_cents, payment.amount_cents);
  }
  Accumulator get_result(const Accumulator& from) const { return from; }
  void merge(Accumulator& into, const Accumulator& from) const {
    into.count += from.count;
    into.sum_cents += from.sum_cents;
    into.max_cents = std::max(into.max_cents, from.max_cents);
  }
};

struct MerchantSales {
  std::uint32_t merchant = 0;
  TimestampMs window_start = 0;
  Sales::Accumulator sales;
};

template <class T, class Format>
std::shared_ptr<weir::Sink> files_of(const JobSettings& settings, const char* folder,
                                     Format format) {
  return weir::file::FileSink<T>::for_row_format(settings.folder + "/" + folder, format)
      .with_prefix_suffix("part", ".csv")
      .with_delivery_guarantee(settings.guarantee)
      .build();
}

void build_pipeline(weir::Environment& environment, const JobSettings& settings,
                    const std::shared_ptr<RestoredPosition>& position) {
  const auto source =
      weir::generator::Source<Payment>::from([seed = settings.seed, position](std::uint64_t index) {
        position->note(index);
        return make_payment(seed, index);
      })
          .with_count(settings.records)
          .with_splits(static_cast<int>(kBranches))
          .with_rate_limit(settings.records_per_second)
          .build();
  const auto watermarks = weir::WatermarkStrategy<Payment>::for_bounded_out_of_orderness(kDisorder)
                              .with_timestamp_assigner(&Payment::time_ms);
  DataStream<Payment> payments = environment.from_source<Payment>(source, watermarks, "payments");
  payments.uid("payments");

  const TimestampMs closing_time =
      kFirstTimeMs + static_cast<TimestampMs>(settings.records / kPaymentsPerMs) + 1;
  DataStream<AccountTotal> totals =
      payments.key_by(&Payment::account).process(AccountTotals(closing_time));
  totals.uid("account-totals");
  totals
      .sink_to(files_of<AccountTotal>(settings, kAccountsFolder,
                                      [](const AccountTotal& row, std::string& out) {
                                        fmt::format_to(std::back_inserter(out), "{},{},{},{}",
                                                       row.is_final ? 'F' : 'R', row.account,
                                                       row.total.count, row.total.total_cents);
                                      }))
      .uid("account-files");

  DataStream<MerchantSales> sales =
      payments.key_by(&Payment::merchant)
          .window(weir::TumblingEventTimeWindows::of(kWindow))
          .aggregate(Sales{}, [](std::uint32_t merchant, const TimeWindow& window,
                                 const Sales::Accumulator& result) {
            return MerchantSales{merchant, window.start, result};
          });
  sales.uid("merchant-sales");
  sales
      .sink_to(files_of<MerchantSales>(settings, kWindowsFolder,
                                       [](const MerchantSales& row, std::string& out) {
                                         fmt::format_to(std::back_inserter(out), "W,{},{},{},{},{}",
                                                        row.merchant, row.window_start,
                                                        row.sales.count, row.sales.sum_cents,
                                                        row.sales.max_cents);
                                       }))
      .uid("window-files");
}

weir::Configuration configuration_of(const JobSettings& settings) {
  weir::Configuration configuration;
  configuration.set(weir::options::kJobId, "demo")
      .set(weir::options::kParallelism, 2)
      .set(weir::options::kCheckpointInterval, DurationMs(1000))
      .set(weir::options::kCheckpointDir, settings.folder + "/" + kCheckpointsFolder);
  if (settings.guarantee != weir::DeliveryGuarantee::kExactlyOnce) {
    configuration.set(weir::options::kCheckpointMode, weir::CheckpointingMode::kAtLeastOnce);
  }
  return configuration;
}

void write_report(int fd, const weir::JobStatus& status, std::int64_t restored_records) {
  const std::string line = encode_report({
      .is_running = status.phase == weir::JobPhase::kRunning,
      .records_in = status.records_in,
      .restored_records = restored_records,
      .restored_checkpoint = status.restored_checkpoint,
      .checkpoints = status.checkpoints_completed,
      .checkpoint_duration_ms = status.last_checkpoint_duration_ms,
      .checkpoint_bytes = static_cast<std::int64_t>(status.last_checkpoint_size_bytes),
      .restarts = status.restarts,
  });
  // A line fits into the pipe's atomic size. Nothing depends on its arrival.
  [[maybe_unused]] const ssize_t written = ::write(fd, line.data(), line.size());
}

}  // namespace

int run_job(const JobSettings& settings) {
  weir::Environment environment(configuration_of(settings));
  const auto position = std::make_shared<RestoredPosition>();
  build_pipeline(environment, settings, position);
  environment.set_listener([&](const weir::JobStatus& status) {
    write_report(settings.report_fd, status, position->records());
  });
  const auto result = environment.execute("demo");
  if (!result.ok()) {
    fmt::print(stderr, "demo job failed: {}\n", result.error().message);
    return 1;
  }
  // Stopped by a signal, it has more to do.
  return result.value().state == weir::JobState::kFinished ? 0 : 1;
}

}  // namespace demo
