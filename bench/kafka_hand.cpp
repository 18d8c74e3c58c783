// Kafka to Kafka by hand, on bare librdkafka. Prints one line of JSON.
//   bench_kafka_hand --mode fill  --bootstrap B --to TOPIC --messages N --bytes N
//   bench_kafka_hand --mode copy  --bootstrap B --from T --to T --linger-ms N --batch-bytes N
//   bench_kafka_hand --mode copy-transactional   the same in a transaction per second that also
//                    holds the input's offsets: the peer with weir's guarantee
//   bench_kafka_hand --mode count --bootstrap B --from T      rows and hash, read_committed

#include <librdkafka/rdkafka.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "arguments.h"
#include "workload.h"

namespace weir::bench {
namespace {

constexpr int kTimeoutMs = 30'000;

[[noreturn]] void stop(const std::string& what, const std::string& why) {
  std::fprintf(stderr, "%s: %s\n", what.c_str(), why.c_str());
  std::exit(1);
}
void check(rd_kafka_resp_err_t error, const char* what) {
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    stop(what, rd_kafka_err2str(error));
  }
}
void check(rd_kafka_error_t* error, const char* what) {
  if (error != nullptr) {
    stop(what, rd_kafka_error_string(error));
  }
}

class Settings {
 public:
  Settings& set(const char* name, const std::string& value) {
    char text[512];
    if (rd_kafka_conf_set(conf_, name, value.c_str(), text, sizeof(text)) != RD_KAFKA_CONF_OK) {
      stop(name, text);
    }
    return *this;
  }
  rd_kafka_conf_t* get() { return conf_; }
  rd_kafka_t* open(rd_kafka_type_t type) {
    char text[512];
    rd_kafka_t* handle = rd_kafka_new(type, conf_, text, sizeof(text));
    if (handle == nullptr) {
      stop("rd_kafka_new", text);
    }
    return handle;
  }

 private:
  rd_kafka_conf_t* conf_ = rd_kafka_conf_new();
};

void on_delivery(rd_kafka_t* /*handle*/, const rd_kafka_message_t* message, void* /*opaque*/) {
  check(message->err, "delivery");
}

rd_kafka_t* open_producer(const Arguments& arguments, bool is_transactional) {
  Settings settings;
  settings.set("bootstrap.servers", arguments.text("bootstrap"))
      .set("acks", "all")
      .set("enable.idempotence", "true")
      .set("queue.buffering.max.messages", "500000");
  if (const char* linger = arguments.find("linger-ms")) {
    settings.set("linger.ms", linger);
  }
  if (const char* batch = arguments.find("batch-bytes")) {
    settings.set("batch.size", batch);
  }
  if (is_transactional) {
    settings.set("transactional.id", "bench-hand-" + arguments.text("to"));
  }
  rd_kafka_conf_set_dr_msg_cb(settings.get(), on_delivery);
  rd_kafka_t* producer = settings.open(RD_KAFKA_PRODUCER);
  if (is_transactional) {
    check(rd_kafka_init_transactions(producer, kTimeoutMs), "init_transactions");
  }
  return producer;
}

rd_kafka_topic_t* open_topic(rd_kafka_t* producer, const std::string& name) {
  return rd_kafka_topic_new(producer, name.c_str(), nullptr);
}

void produce(rd_kafka_t* producer, rd_kafka_topic_t* topic, const void* value, std::size_t size) {
  while (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY,
                          const_cast<void*>(value), size, nullptr, 0, nullptr) != 0) {
    if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
      stop("produce", rd_kafka_err2str(rd_kafka_last_error()));
    }
    rd_kafka_poll(producer, 10);
  }
}

/// Reads a topic from its beginning to what is its end now.
class BoundedReader {
 public:
  explicit BoundedReader(const Arguments& arguments) : topic_(arguments.text("from")) {
    Settings settings;
    settings.set("bootstrap.servers", arguments.text("bootstrap"))
        .set("group.id", "bench-hand")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_committed");
    consumer_ = settings.open(RD_KAFKA_CONSUMER);
    rd_kafka_poll_set_consumer(consumer_);
    rd_kafka_topic_t* topic = rd_kafka_topic_new(consumer_, topic_.c_str(), nullptr);
    const rd_kafka_metadata_t* metadata = nullptr;
    check(rd_kafka_metadata(consumer_, 0, topic, &metadata, kTimeoutMs), "metadata");
    partitions_ = metadata->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(topic);
    rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(partitions_);
    for (int i = 0; i < partitions_; ++i) {
      rd_kafka_topic_partition_list_add(list, topic_.c_str(), i)->offset =
          RD_KAFKA_OFFSET_BEGINNING;
    }
    next_.assign(static_cast<std::size_t>(partitions_), 0);
    check(rd_kafka_assign(consumer_, list), "assign");
    rd_kafka_topic_partition_list_destroy(list);
    queue_ = rd_kafka_queue_get_consumer(consumer_);
  }

  ~BoundedReader() {
    rd_kafka_queue_destroy(queue_);
    rd_kafka_consumer_close(consumer_);
    rd_kafka_destroy(consumer_);
  }
  BoundedReader(const BoundedReader&) = delete;
  BoundedReader& operator=(const BoundedReader&) = delete;

  /// Calls visit(value, size) for the next messages. False at the end.
  template <class Visit>
  bool read(Visit&& visit) {
    rd_kafka_message_t* messages[1024];
    const ssize_t count = rd_kafka_consume_batch_queue(queue_, 100, messages, 1024);
    for (ssize_t i = 0; i < count; ++i) {
      rd_kafka_message_t* message = messages[i];
      if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        ++ended_;
      } else {
        check(message->err, "consume");
        next_[static_cast<std::size_t>(message->partition)] = message->offset + 1;
        visit(message->payload, message->len);
      }
      rd_kafka_message_destroy(message);
    }
    return ended_ < partitions_;
  }

  /// Puts the positions into the producer's transaction.
  void send_offsets(rd_kafka_t* producer) {
    rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(partitions_);
    for (int i = 0; i < partitions_; ++i) {
      rd_kafka_topic_partition_list_add(list, topic_.c_str(), i)->offset =
          next_[static_cast<std::size_t>(i)];
    }
    rd_kafka_consumer_group_metadata_t* group = rd_kafka_consumer_group_metadata(consumer_);
    check(rd_kafka_send_offsets_to_transaction(producer, list, group, kTimeoutMs), "send_offsets");
    rd_kafka_consumer_group_metadata_destroy(group);
    rd_kafka_topic_partition_list_destroy(list);
  }

 private:
  const std::string topic_;
  rd_kafka_t* consumer_ = nullptr;
  rd_kafka_queue_t* queue_ = nullptr;
  int partitions_ = 0;
  int ended_ = 0;
  std::vector<std::int64_t> next_;
};

void close_producer(rd_kafka_t* producer, rd_kafka_topic_t* topic) {
  check(rd_kafka_flush(producer, kTimeoutMs), "flush");
  rd_kafka_topic_destroy(topic);
  rd_kafka_destroy(producer);
}

std::uint64_t fill(const Arguments& arguments) {
  rd_kafka_t* producer = open_producer(arguments, false);
  rd_kafka_topic_t* topic = open_topic(producer, arguments.text("to"));
  const std::uint64_t count = arguments.number("messages");
  std::string value(arguments.number("bytes"), '.');
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::string number = std::to_string(i * 0x9E3779B97F4A7C15ULL);
    value.replace(0, std::min(value.size(), number.size()), number, 0, value.size());
    produce(producer, topic, value.data(), value.size());
    if (i % 1024 == 0) {
      rd_kafka_poll(producer, 0);
    }
  }
  close_producer(producer, topic);
  return count;
}

std::uint64_t copy(const Arguments& arguments, bool is_transactional) {
  using Clock = std::chrono::steady_clock;
  rd_kafka_t* producer = open_producer(arguments, is_transactional);
  rd_kafka_topic_t* topic = open_topic(producer, arguments.text("to"));
  BoundedReader reader(arguments);
  std::uint64_t count = 0;
  auto next_commit = Clock::now() + std::chrono::seconds(1);
  const auto commit = [&] {
    reader.send_offsets(producer);
    check(rd_kafka_commit_transaction(producer, kTimeoutMs), "commit_transaction");
  };
  if (is_transactional) {
    check(rd_kafka_begin_transaction(producer), "begin_transaction");
  }
  while (reader.read([&](const void* value, std::size_t size) {
    produce(producer, topic, value, size);
    ++count;
  })) {
    rd_kafka_poll(producer, 0);
    if (is_transactional && Clock::now() >= next_commit) {
      commit();
      check(rd_kafka_begin_transaction(producer), "begin_transaction");
      next_commit = Clock::now() + std::chrono::seconds(1);
    }
  }
  if (is_transactional) {
    commit();
  }
  close_producer(producer, topic);
  return count;
}

RowSums count_rows(const Arguments& arguments) {
  BoundedReader reader(arguments);
  RowSums sums;
  while (reader.read([&](const void* value, std::size_t size) {
    std::uint64_t hash = 14695981039346656037ULL;
    for (std::size_t i = 0; i < size; ++i) {
      hash = (hash ^ static_cast<const unsigned char*>(value)[i]) * 1099511628211ULL;
    }
    sums.add(hash, size, 0);
  })) {
  }
  return sums;
}

int run(int argc, char** argv) {
  const Arguments arguments(argc, argv);
  const std::string mode = arguments.text("mode");
  if (mode == "count") {
    const RowSums sums = count_rows(arguments);
    std::printf("{\"rows\": %llu, \"hash\": \"%016llx%016llx\"}\n",
                static_cast<unsigned long long>(sums.rows),
                static_cast<unsigned long long>(sums.sum),
                static_cast<unsigned long long>(sums.mixed));
    return 0;
  }
  std::uint64_t events = 0;
  if (mode == "fill") {
    events = fill(arguments);
  } else if (mode == "copy" || mode == "copy-transactional") {
    events = copy(arguments, mode == "copy-transactional");
  } else {
    stop("--mode", "fill, copy, copy-transactional or count");
  }
  std::printf("{\"events\": %llu}\n", static_cast<unsigned long long>(events));
  return 0;
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) { return weir::bench::run(argc, argv); }
