// How long checkpoints and restores take. Prints one line of JSON.
//   bench_checkpoint_times --graph backpressure|small|state|dirty --checkpoints N [--keys N]
//       [--rate N --changed N] [-D key=value ...]
//
// backpressure: the graph of Flink's CheckpointingTimeBenchmark: source, map and sink, four
//   subtasks each, rebalanced; records of 1 KB; the sink is busy for 200 microseconds per record.
// state: `keys` keys with 16 bytes of state; the checkpoints counted begin when all keys are there.
//   A second run in the same checkpoint directory restores, and ends with the first result.
// dirty: the same, but when all keys are there, `changed` percent of them are written again and
//   again, others every ten seconds; `rate` events a second.
// small: 20,000 keys with a running count each, 100,000 events a second.

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <mutex>

#include <fmt/format.h>

#include "arguments.h"
#include "generator/source.h"
#include "weir/config_options.h"
#include "weir/environment.h"
#include "weir/keyed_stream.h"

namespace weir::bench {
namespace {

struct Payload {
  std::uint64_t id = 0;
  std::array<std::uint64_t, 127> rest{};
};
struct Event {
  std::uint64_t key = 0;
  std::uint64_t amount = 0;
};
struct Counted {
  std::uint64_t key = 0;
  std::uint64_t count = 0;
};

class CountPerKey : public KeyedProcessFunction<std::uint64_t, Event, Counted> {
 public:
  void open(OpenContext& context) override { count_ = context.value_state<std::uint64_t>("count"); }
  void process_element(const Event& event, Context& /*context*/, Collector<Counted>& out) override {
    out.collect(Counted{event.key, ++count_.mutable_value()});
  }

 private:
  ValueState<std::uint64_t> count_;
};

/// Forgets everything, and is busy for a while with every record.
template <class T>
class BusySink final : public Sink {
 public:
  explicit BusySink(std::chrono::microseconds per_record) : per_record_(per_record) {}

  DeliveryGuarantee guarantee() const override { return DeliveryGuarantee::kNone; }
  const TypeOps& record_type() const override { return type_ops<T>(); }
  Status preflight(const SinkContext& /*context*/) override { return {}; }
  Result<std::unique_ptr<SinkWriter>> create_writer(
      SinkWriterContext /*context*/, const std::vector<std::string>& /*restored*/) override {
    return std::unique_ptr<SinkWriter>(std::make_unique<Writer>(per_record_));
  }
  Result<std::unique_ptr<Committer>> create_committer(const SinkContext& /*context*/) override {
    return std::unique_ptr<Committer>();
  }

 private:
  class Writer final : public SinkWriter {
   public:
    explicit Writer(std::chrono::microseconds per_record) : per_record_(per_record) {}
    Status write(const Batch& batch) override {
      const auto end = std::chrono::steady_clock::now() + batch.size() * per_record_;
      while (std::chrono::steady_clock::now() < end) {
      }
      return {};
    }
    Status begin_prepare(CheckpointId /*checkpoint*/) override { return {}; }
    Result<std::optional<std::vector<Committable>>> poll_prepared(
        CheckpointId /*checkpoint*/) override {
      return std::optional<std::vector<Committable>>(std::vector<Committable>{});
    }

   private:
    const std::chrono::microseconds per_record_;
  };

  const std::chrono::microseconds per_record_;
};

void build_backpressure(Environment& environment) {
  constexpr int kWide = 4;
  auto source =
      generator::Source<Payload>::from([](std::uint64_t index) { return Payload{index, {}}; })
          .with_splits(kWide)
          .build();
  DataStream<Payload> stream = environment.from_source<Payload>(
      source, WatermarkStrategy<Payload>::no_watermarks(), "source");
  stream.uid("source").set_parallelism(kWide);
  DataStream<Payload> mapped =
      stream.rebalance().map([](const Payload& payload) { return payload; });
  mapped.uid("map").set_parallelism(kWide);
  mapped.rebalance()
      .sink_to(std::make_shared<BusySink<Payload>>(std::chrono::microseconds(200)))
      .uid("sink")
      .set_parallelism(kWide);
}

struct Total {
  std::uint64_t count = 0;
  std::uint64_t sum = 0;
};

class TotalPerKey : public KeyedProcessFunction<std::uint64_t, Event, Counted> {
 public:
  void open(OpenContext& context) override { total_ = context.value_state<Total>("total"); }
  void process_element(const Event& event, Context& /*context*/, Collector<Counted>& out) override {
    Total& total = total_.mutable_value();
    ++total.count;
    total.sum += event.amount;
    out.collect(Counted{event.key, total.count});
  }

 private:
  ValueState<Total> total_;
};

/// The number of the key that event `index` writes.
using KeyOf = std::function<std::uint64_t(std::uint64_t index)>;

KeyOf all_in_turn(std::uint64_t keys) {
  return [keys](std::uint64_t index) { return index % keys; };
}

KeyOf some_in_turn(std::uint64_t keys, std::uint64_t percent, std::uint64_t rate) {
  return [keys, percent, rate](std::uint64_t index) -> std::uint64_t {
    if (index < keys) {
      return index;
    }
    const std::uint64_t hot = keys * percent / 100;
    const std::uint64_t turn = (index - keys) / (10 * rate);
    return (turn * hot + index * 0x9E3779B97F4A7C15ULL % hot) % keys;
  };
}

void build_state(Environment& environment, const KeyOf& key_of, double events_per_second,
                 std::function<void()> on_first_result) {
  auto source = generator::Source<Event>::from([key_of](std::uint64_t index) {
                  // Ids are spread over 64 bits, amounts are what somebody pays in cents.
                  return Event{key_of(index) * 0x9E3779B97F4A7C15ULL, index * 7919 % 100'000};
                })
                    .with_splits(2)
                    .with_rate_limit(events_per_second)
                    .build();
  DataStream<Event> events =
      environment.from_source<Event>(source, WatermarkStrategy<Event>::no_watermarks(), "events");
  events.uid("events");
  DataStream<Counted> counts = events.key_by(&Event::key).process(TotalPerKey());
  counts.uid("counts");
  counts
      .filter([once = std::make_shared<std::once_flag>(), on_first_result](const Counted&) {
        std::call_once(*once, on_first_result);
        return false;
      })
      .uid("none")
      .sink_to(std::make_shared<BusySink<Counted>>(std::chrono::microseconds(0)))
      .uid("sink");
}

void build_small(Environment& environment) {
  constexpr std::uint64_t kKeys = 20'000;
  auto source =
      generator::Source<Event>::from([](std::uint64_t index) { return Event{index % kKeys}; })
          .with_splits(2)
          .with_rate_limit(100'000)
          .build();
  DataStream<Event> events =
      environment.from_source<Event>(source, WatermarkStrategy<Event>::no_watermarks(), "events");
  events.uid("events");
  DataStream<Counted> counts = events.key_by(&Event::key).process(CountPerKey());
  counts.uid("counts");
  counts.sink_to(std::make_shared<BusySink<Counted>>(std::chrono::microseconds(0))).uid("sink");
}

int run(int argc, char** argv) {
  const Arguments arguments(argc, argv);
  std::vector<std::string> rest;
  Result<Configuration> configuration = Configuration::from_args(argc, argv, &rest);
  if (!configuration.ok()) {
    std::fprintf(stderr, "%s\n", configuration.error().message.c_str());
    return 2;
  }
  const auto wanted = static_cast<std::int64_t>(arguments.number("checkpoints"));
  Environment environment(configuration.value());
  const std::string graph = arguments.text("graph");
  const bool has_keys = graph == "state" || graph == "dirty";
  const std::uint64_t keys = has_keys ? arguments.number("keys") : 0;
  std::atomic<std::int64_t> first_result_ns{0};
  if (graph == "backpressure") {
    build_backpressure(environment);
  } else if (has_keys) {
    const std::uint64_t rate = graph == "dirty" ? arguments.number("rate") : 0;
    const KeyOf key_of = graph == "dirty" ? some_in_turn(keys, arguments.number("changed"), rate)
                                          : all_in_turn(keys);
    build_state(environment, key_of, static_cast<double>(rate), [&first_result_ns] {
      first_result_ns = std::chrono::steady_clock::now().time_since_epoch().count();
    });
  } else {
    build_small(environment);
  }
  std::string checkpoints;
  std::int64_t seen = 0;
  std::int64_t counted = 0;
  environment.set_listener([&](const JobStatus& status) {
    const bool is_restored = status.restored_checkpoint != 0;
    if (status.checkpoints_completed > seen && !is_restored) {
      seen = status.checkpoints_completed;
      if (status.records_in >= static_cast<std::int64_t>(keys)) {
        ++counted;
        checkpoints += fmt::format(
            "{}{{\"duration_ms\":{},\"size_bytes\":{},\"start_delay_us\":{},\"alignment_us\":{},"
            "\"sync_us\":{}}}",
            checkpoints.empty() ? "" : ",", status.last_checkpoint_duration_ms,
            status.last_checkpoint_size_bytes, status.last_checkpoint_start_delay_us,
            status.last_checkpoint_alignment_us, status.last_checkpoint_sync_us);
      }
    }
    if (counted == wanted || (is_restored && first_result_ns.load() != 0)) {
      std::printf("{\"checkpoints\":[%s],\"first_result_ns\":%lld,\"failed\":%lld}\n",
                  checkpoints.c_str(), static_cast<long long>(first_result_ns.load()),
                  static_cast<long long>(status.checkpoints_failed));
      std::fflush(stdout);
      std::_Exit(0);  // stopping would first work off what is under way
    }
  });
  const Result<JobResult> done = environment.execute("checkpoint-times");
  std::fprintf(stderr, "%s\n", done.ok() ? "ended early" : done.error().message.c_str());
  return 1;
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) { return weir::bench::run(argc, argv); }
