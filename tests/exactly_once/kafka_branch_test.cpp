#include <mutex>

#include "branch_scenarios.h"
#include "broker.h"
#include "committed_reader.h"
#include "kafka/kafka_sink.h"

namespace weir::branch {
namespace {

class Topic final : public Output {
 public:
  explicit Topic(crash::Broker& broker)
      : broker_(broker), topic_(broker.create_topic("branch", 2)) {}

  std::shared_ptr<Sink> sink() override {
    auto builder = kafka::KafkaSink<Event>::builder();
    builder.set_bootstrap_servers(broker_.bootstrap())
        .set_topic(topic_)
        .set_record_serializer([](const Event& event, TimestampMs, kafka::Record& out) {
          out.key = std::to_string(event.key);
          out.value = std::to_string(event.number);
        })
        .set_delivery_guarantee(DeliveryGuarantee::kExactlyOnce);
    return builder.build();
  }
  std::vector<std::int64_t> committed(std::size_t count) override {
    // Orphans that nobody has aborted yet hold readers back, not results.
    std::mutex mutex;
    std::vector<std::int64_t> numbers;
    {
      crash::CommittedReader reader(broker_.bootstrap(), topic_, 2, [&](std::string_view value) {
        const std::lock_guard lock(mutex);
        numbers.push_back(std::stoll(std::string(value)));
      });
      (void)reader.wait_for(static_cast<std::int64_t>(count), 60'000);
      (void)reader.wait_for_end(10'000);
    }
    std::sort(numbers.begin(), numbers.end());
    return numbers;
  }

 private:
  crash::Broker& broker_;
  const std::string topic_;
};

}  // namespace

std::unique_ptr<Output> make_output(const std::string& /*directory*/) {
  crash::Broker* const broker = crash::Broker::get();
  return broker == nullptr ? nullptr : std::make_unique<Topic>(*broker);
}

}  // namespace weir::branch
