#include "kafka_topics.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include <librdkafka/rdkafka.h>
#include <unistd.h>

#include "event_text.h"

namespace crash {
namespace {

/// A machine may stand still for a minute, disks above all.
constexpr int kTimeoutMs = 180'000;

[[noreturn]] void give_up(const char* doing, const char* why) {
  std::fprintf(stderr, "writing test input: %s: %s\n", doing, why);
  std::abort();
}

/// A producer that aborts the test program on any error.
class Producer {
 public:
  Producer(const std::string& bootstrap, const std::string& topic, bool is_transactional)
      : topic_(topic) {
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", bootstrap);
    set(conf, "log_level", "2");  // A broker that is down on purpose is no news.
    set(conf, "enable.idempotence", "true");
    set(conf, "linger.ms", "5");
    set(conf, "batch.num.messages", "100");  // A reader fetches at least one whole batch.
    if (is_transactional) {
      set(conf, "transactional.id", "test-input-" + topic);
    }
    char text[512];
    client_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (client_ == nullptr) {
      give_up("rd_kafka_new", text);
    }
    if (is_transactional) {
      check(rd_kafka_init_transactions(client_, kTimeoutMs));
    }
  }
  ~Producer() { rd_kafka_destroy(client_); }
  Producer(const Producer&) = delete;
  Producer& operator=(const Producer&) = delete;

  void produce(int partition, const std::string& key, const std::string& value) {
    for (;;) {
      const auto error = rd_kafka_producev(
          client_, RD_KAFKA_V_TOPIC(topic_.c_str()), RD_KAFKA_V_PARTITION(partition),
          RD_KAFKA_V_KEY(key.data(), key.size()),
          RD_KAFKA_V_VALUE(const_cast<char*>(value.data()), value.size()),
          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
      if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
        return;
      }
      if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        give_up("produce", rd_kafka_err2str(error));
      }
      rd_kafka_poll(client_, 20);
    }
  }
  void poll() { rd_kafka_poll(client_, 0); }
  void flush() {
    const auto error = rd_kafka_flush(client_, kTimeoutMs);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
      give_up("flush", rd_kafka_err2str(error));
    }
  }
  void begin() { check(rd_kafka_begin_transaction(client_)); }
  void commit() { check(rd_kafka_commit_transaction(client_, kTimeoutMs)); }
  void abort() { check(rd_kafka_abort_transaction(client_, kTimeoutMs)); }

 private:
  static void set(rd_kafka_conf_t* conf, const char* name, const std::string& value) {
    char text[512];
    if (rd_kafka_conf_set(conf, name, value.c_str(), text, sizeof text) != RD_KAFKA_CONF_OK) {
      give_up(name, text);
    }
  }
  static void check(rd_kafka_error_t* error) {
    if (error != nullptr) {
      give_up("transaction", rd_kafka_error_string(error));
    }
  }

  std::string topic_;
  rd_kafka_t* client_ = nullptr;
};

void produce_event(Producer& producer, const InputPlan& plan, std::uint64_t index) {
  const Event event = make_event(plan.seed, plan.keys, index);
  std::string text;
  append_event(event, text);
  producer.produce(static_cast<int>(event.key) % plan.partitions, std::to_string(event.key), text);
}

}  // namespace

LiveInput::LiveInput(const InputPlan& plan, double per_second)
    : thread_([this, plan, per_second] { run(plan, per_second); }) {}

void LiveInput::run(const InputPlan& plan, double per_second) {
  Producer producer(plan.bootstrap, plan.topic, false);
  constexpr auto kTick = std::chrono::milliseconds(10);
  const auto began = std::chrono::steady_clock::now();
  while (!is_stopping_ && written_ < plan.count) {
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - began;
    const auto due = std::min(plan.count, static_cast<std::uint64_t>(passed.count() * per_second));
    for (; written_ < due; ++written_) {
      produce_event(producer, plan, plan.first + written_);
    }
    producer.poll();
    std::this_thread::sleep_for(kTick);
  }
  producer.flush();
}

std::uint64_t LiveInput::stop() {
  is_stopping_ = true;
  if (thread_.joinable()) {
    thread_.join();
  }
  return written_;
}

void produce_events(const InputPlan& plan) {
  const bool is_transactional = plan.per_transaction > 0;
  Producer producer(plan.bootstrap, plan.topic, is_transactional);
  for (std::uint64_t index = plan.first; index < plan.first + plan.count; ++index) {
    if (is_transactional && index % plan.per_transaction == 0) {
      if (index > plan.first) {
        producer.commit();
      }
      producer.begin();
      for (int partition = 0; partition < plan.partitions; ++partition) {
        producer.produce(partition, "junk", "an aborted record");
      }
      producer.flush();
      producer.abort();
      producer.begin();
    }
    produce_event(producer, plan, index);
  }
  if (is_transactional) {
    producer.commit();
  }
  producer.flush();
}

void produce_values(const std::string& bootstrap, const std::string& topic, int partition,
                    const std::vector<std::string>& values) {
  Producer producer(bootstrap, topic, false);
  for (const std::string& value : values) {
    producer.produce(partition, "", value);
  }
  producer.flush();
}

}  // namespace crash
