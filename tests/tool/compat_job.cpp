// A job in several versions, for the tests of `weir compat`. A snapshot is taken of version
// "first".

#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

#include "generator/elements.h"
#include "generator/source.h"
#include "print/print_sink.h"
#include "weir/environment.h"

namespace compat_job {

struct Event {
  std::int64_t key = 0;
};
struct Line {
  std::string text;
};

struct FirstTotal {
  std::int32_t count = 0;
  std::string unused;
};
struct GrownTotal {
  std::int64_t count = 0;
  std::string last = "none";
};
struct ShrunkTotal {
  std::int16_t count = 0;
};

/// A type that alone knows where its values end.
struct Mark {
  std::string text;
};

}  // namespace compat_job

template <>
struct weir::Codec<compat_job::Mark> {
  static std::string schema() { return "mark"; }
  static void encode(const compat_job::Mark& value, weir::Encoder& out) {
    out.varint(value.text.size());
    out.bytes(value.text.data(), value.text.size());
  }
  static void decode(weir::Decoder& in, compat_job::Mark& value) {
    value.text = in.view(in.count());
  }
};

namespace compat_job {

/// What a version of the job differs in, besides types.
struct Version {
  std::string name;
  std::string other_state() const { return name == "renamed" ? "visits" : "seen"; }
  weir::StateTtlConfig ttl_of_mark() const { return ttl_if("expiring-mark"); }
  weir::StateTtlConfig ttl_of_marks() const { return ttl_if("expiring-marks"); }

 private:
  weir::StateTtlConfig ttl_if(const std::string& version) const {
    return {.ttl = name == version ? std::chrono::hours(24) : std::chrono::hours(0)};
  }
};

template <class Key, class Total>
class Count : public weir::KeyedProcessFunction<Key, Event, Line> {
 public:
  explicit Count(Version version) : version_(std::move(version)) {}
  void open(typename Count::OpenContext& context) override {
    if (version_.name == "broken") {
      throw std::runtime_error("the rates are not there");
    }
    total_ = context.template value_state<Total>("total");
    seen_ = context.template list_state<std::int64_t>(version_.other_state());
    mark_ = context.template value_state<Mark>("mark", version_.ttl_of_mark());
    marks_ = context.template list_state<Mark>("marks", version_.ttl_of_marks());
  }
  void process_element(const Event& event, typename Count::Context& context,
                       weir::Collector<Line>& out) override {
    seen_.add(event.key);
    mark_.mutable_value().text += "x";
    marks_.add(Mark{"y"});
    const auto count = static_cast<std::int64_t>(++total_.mutable_value().count);
    context.timer_service().register_event_time_timer(1'000'000);
    out.collect(Line{std::to_string(event.key) + " " + std::to_string(count)});
  }

 private:
  const Version version_;
  weir::ValueState<Total> total_;
  weir::ListState<std::int64_t> seen_;
  weir::ValueState<Mark> mark_;
  weir::ListState<Mark> marks_;
};

template <class Key, class Total>
int run(const std::string& version, weir::Configuration configuration, Key (*key)(const Event&)) {
  weir::Environment env(std::move(configuration));
  auto events = env.from_source(
      weir::generator::from_elements<Event>({{1}, {2}, {1}, {3}}),
      weir::WatermarkStrategy<Event>::for_monotonous_timestamps().with_timestamp_assigner(
          &Event::key),
      "events");
  const std::string uid = version == "moved" ? "counts" : "count";
  events.uid("events")
      .key_by(key)
      .process(Count<Key, Total>({version}))
      .uid(uid)
      .sink_to(weir::print::to_stdout<Line>())
      .uid("lines");
  const auto result = env.execute("compat");
  if (!result.ok()) {
    std::fprintf(stderr, "%s\n", result.error().message.c_str());
    return 1;
  }
  return 0;
}

struct CountEvents {
  using Accumulator = std::int64_t;
  Accumulator create_accumulator() const { return 0; }
  void add(Accumulator& into, const Event& /*event*/) const { ++into; }
  Line get_result(const Accumulator& from) const { return {std::to_string(from)}; }
  void merge(Accumulator& into, const Accumulator& from) const { into += from; }
};

/// Windows over an endless source. Every run stops itself in the middle of one.
int run_windows(weir::Configuration configuration, weir::DurationMs size,
                weir::DurationMs lateness) {
  weir::Environment env(std::move(configuration));
  auto source = weir::generator::Source<Event>::from(
                    [](std::uint64_t index) { return Event{static_cast<std::int64_t>(index)}; })
                    .with_event_time([](const Event& event) { return event.key; })
                    .with_rate_limit(20'000)
                    .build();
  env.from_source<Event>(source, weir::WatermarkStrategy<Event>::for_monotonous_timestamps(),
                         "events")
      .uid("events")
      .map([](const Event& event) {
        static std::atomic<int> seen = 0;
        if (++seen == 2'000) {
          (void)std::raise(SIGTERM);
        }
        return event;
      })
      .uid("stop")
      .key_by([](const Event& event) { return event.key % 3; })
      .window(weir::TumblingEventTimeWindows::of(size))
      .allowed_lateness(lateness)
      .aggregate(CountEvents())
      .uid("windows")
      .sink_to(weir::print::to_stdout<Line>())
      .uid("lines");
  const auto result = env.execute("compat");
  if (!result.ok()) {
    std::fprintf(stderr, "%s\n", result.error().message.c_str());
    return 1;
  }
  return 0;
}

std::int64_t number(const Event& event) { return event.key; }
std::string text(const Event& event) { return std::to_string(event.key); }

}  // namespace compat_job

int main(int argc, char** argv) {
  using namespace compat_job;
  std::vector<std::string> rest;
  auto configuration = weir::Configuration::from_args(argc, argv, &rest);
  if (!configuration.ok() || rest.size() != 1) {
    std::fprintf(stderr, "usage: compat_job VERSION [-D key=value]...\n");
    return 64;
  }
  const std::string& version = rest.front();
  using std::chrono::seconds;
  if (version == "windows") {
    return run_windows(configuration.value(), seconds(10), seconds(0));
  }
  if (version == "windows-kept-longer") {
    return run_windows(configuration.value(), seconds(10), seconds(5));
  }
  if (version == "windows-of-15-s") {
    return run_windows(configuration.value(), seconds(15), seconds(0));
  }
  if (version == "grown") {
    return run<std::int64_t, GrownTotal>(version, configuration.value(), &number);
  }
  if (version == "shrunk") {
    return run<std::int64_t, ShrunkTotal>(version, configuration.value(), &number);
  }
  if (version == "rekeyed") {
    return run<std::string, FirstTotal>(version, configuration.value(), &text);
  }
  return run<std::int64_t, FirstTotal>(version, configuration.value(), &number);
}
