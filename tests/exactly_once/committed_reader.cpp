#include "committed_reader.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <set>

#include <librdkafka/rdkafka.h>

namespace crash {
namespace {

void set(rd_kafka_conf_t* conf, const char* name, const std::string& value) {
  char text[512];
  if (rd_kafka_conf_set(conf, name, value.c_str(), text, sizeof text) != RD_KAFKA_CONF_OK) {
    std::fprintf(stderr, "reader: %s: %s\n", name, text);
    std::abort();
  }
}

bool wait_while(const std::function<bool()>& is_waiting, int timeout_ms) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  while (is_waiting()) {
    if (std::chrono::steady_clock::now() >= deadline) {
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace

CommittedReader::CommittedReader(const std::string& bootstrap, const std::string& topic,
                                 int partitions, OnValue on_value)
    : partitions_(partitions), on_value_(std::move(on_value)) {
  thread_ = std::thread([this, bootstrap, topic] { run(bootstrap, topic); });
}

CommittedReader::~CommittedReader() {
  is_stopping_ = true;
  thread_.join();
}

bool CommittedReader::wait_for(std::int64_t count, int timeout_ms) {
  return wait_while([&] { return seen_ < count; }, timeout_ms);
}

void CommittedReader::wait_until_quiet() {
  for (std::int64_t before = -1; before != seen_;) {
    before = seen_;
    std::this_thread::sleep_for(std::chrono::seconds(2));
  }
}

bool CommittedReader::wait_for_end(int timeout_ms) {
  // The round under way may have passed a partition before the last commit; the one after it not.
  const std::int64_t wanted = ends_seen_ + 2;
  return wait_while([&] { return ends_seen_ < wanted; }, timeout_ms);
}

void CommittedReader::run(const std::string& bootstrap, const std::string& topic) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  set(conf, "bootstrap.servers", bootstrap);
  set(conf, "log_level", "2");  // A broker that is down on purpose is no news.
  set(conf, "group.id", "reader");  // Needed by the client; nothing is ever committed to it.
  set(conf, "enable.auto.commit", "false");
  set(conf, "isolation.level", "read_committed");
  set(conf, "enable.partition.eof", "true");
  set(conf, "fetch.wait.max.ms", "50");
  set(conf, "reconnect.backoff.max.ms", "500");
  char text[512];
  rd_kafka_t* client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
  rd_kafka_poll_set_consumer(client);
  rd_kafka_topic_partition_list_t* all = rd_kafka_topic_partition_list_new(partitions_);
  for (int partition = 0; partition < partitions_; ++partition) {
    rd_kafka_topic_partition_list_add(all, topic.c_str(), partition)->offset = 0;
  }
  rd_kafka_assign(client, all);
  rd_kafka_topic_partition_list_destroy(all);
  std::set<int> at_end;
  while (!is_stopping_) {
    rd_kafka_message_t* message = rd_kafka_consumer_poll(client, 50);
    if (message == nullptr) {
      if (static_cast<int>(at_end.size()) == partitions_) {
        ++ends_seen_;  // Nothing new for 50 ms, and every partition was at its end.
      }
      continue;
    }
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
      at_end.insert(message->partition);
    } else if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      at_end.erase(message->partition);
      on_value_({static_cast<const char*>(message->payload), message->len});
      ++seen_;
    }
    rd_kafka_message_destroy(message);
  }
  rd_kafka_consumer_close(client);
  rd_kafka_destroy(client);
}

}  // namespace crash
