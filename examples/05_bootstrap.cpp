// The first state of a new job: a savepoint is made from a CSV file, and the job starts from it.

#include <chrono>
#include <filesystem>
#include <sstream>

#include "generator/elements.h"
#include "print/print_sink.h"
#include "weir/config_options.h"
#include "weir/environment.h"
#include "weir/savepoint_editor.h"

struct Sale {
  std::string customer;
  int points = 0;
  weir::TimestampMs time_ms = 0;
};

/// What a customer has. The job and whoever makes its first state declare it alike.
struct Wallet {
  void open(weir::KeyedOpenContext<std::string>& context) {
    points = context.value_state<int>("points");
    coupon = context.value_state<std::string>("coupon", {.ttl = std::chrono::hours(24)});
  }
  weir::ValueState<int> points;
  weir::ValueState<std::string> coupon;
};

weir::Result<std::string> make_savepoint(std::istream& csv, const std::string& directory) {
  weir::SavepointEditor savepoint = weir::SavepointEditor::create();
  WEIR_ASSIGN(auto customers, savepoint.keyed_state<std::string>("customers"));  // the uid
  WEIR_ASSIGN(weir::TimerService* const timers, customers.timer_service());
  Wallet wallet;
  wallet.open(customers.states());
  for (std::string name, points, coupon, ends_ms;
       std::getline(csv, name, ',') && std::getline(csv, points, ',') &&
       std::getline(csv, coupon, ',') && std::getline(csv, ends_ms);) {
    customers.set_current_key(name);
    wallet.points.update(std::stoi(points));
    wallet.coupon.update(coupon);
    timers->register_event_time_timer(std::stoll(ends_ms));
  }
  return savepoint.write(directory);
}

class Shop : public weir::KeyedProcessFunction<std::string, Sale, std::string> {
 public:
  void open(OpenContext& context) override { wallet_.open(context); }
  void process_element(const Sale& sale, Context&, weir::Collector<std::string>& out) override {
    const int sum = wallet_.points.mutable_value() += sale.points;
    out.collect(sale.customer + ": " + std::to_string(sum) + ", " + wallet_.coupon.value_or("-"));
  }
  void on_timer(weir::TimestampMs, Context& context, weir::Collector<std::string>& out) override {
    out.collect(context.current_key() + ": lost " + wallet_.coupon.value_or("nothing"));
    wallet_.coupon.clear();
  }
  Wallet wallet_;
};

int main() {
  const auto directory = (std::filesystem::temp_directory_path() / "weir-05").string();
  std::istringstream csv("ann,100,SPRING,2000\nbob,7,HALF PRICE,9000\n");  // or an ifstream
  weir::Environment env(
      weir::Configuration()
          .set(weir::options::kRecoveryPath, make_savepoint(csv, directory).value())
          .set(weir::options::kCheckpointDir, directory)
          .set(weir::options::kCheckpointInterval, weir::DurationMs(100)));
  const auto by_time =
      weir::WatermarkStrategy<Sale>::for_monotonous_timestamps().with_timestamp_assigner(
          &Sale::time_ms);
  env.from_source(weir::generator::from_elements<Sale>({{"ann", 5, 1}, {"bob", 1, 2}}), by_time,
                  "sales")
      .key_by(&Sale::customer)
      .process(Shop())
      .uid("customers")
      .sink_to(weir::print::to_stdout<std::string>());
  const auto result = env.execute("shop");
  std::filesystem::remove_all(directory);
  return result.ok() ? 0 : 1;
}
