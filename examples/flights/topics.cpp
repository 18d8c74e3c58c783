#include "topics.h"

#include <cstdio>
#include <iostream>
#include <memory>

#include <librdkafka/rdkafka.h>

namespace flights {
namespace {

using Handle = std::unique_ptr<rd_kafka_t, decltype(&rd_kafka_destroy)>;

Handle connect(rd_kafka_type_t type,
               std::initializer_list<std::pair<const char*, std::string>> settings) {
  char error[512];
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  for (const auto& [name, value] : settings) {
    if (rd_kafka_conf_set(conf, name, value.c_str(), error, sizeof error) != RD_KAFKA_CONF_OK) {
      std::cerr << "flights: " << error << '\n';
      std::exit(2);
    }
  }
  rd_kafka_t* handle = rd_kafka_new(type, conf, error, sizeof error);
  if (handle == nullptr) {
    std::cerr << "flights: " << error << '\n';
    std::exit(2);
  }
  return {handle, rd_kafka_destroy};
}

int partition_count(rd_kafka_t* handle, const std::string& topic) {
  rd_kafka_topic_t* named = rd_kafka_topic_new(handle, topic.c_str(), nullptr);
  const rd_kafka_metadata_t* metadata = nullptr;
  const auto failure = rd_kafka_metadata(handle, 0, named, &metadata, 10'000);
  rd_kafka_topic_destroy(named);
  if (failure != RD_KAFKA_RESP_ERR_NO_ERROR) {
    std::cerr << "flights: " << rd_kafka_err2str(failure) << '\n';
    std::exit(2);
  }
  const int count = metadata->topic_cnt == 1 ? metadata->topics[0].partition_cnt : 0;
  rd_kafka_metadata_destroy(metadata);
  return count;
}

}  // namespace

int load_topic(const std::string& brokers, const std::string& topic) {
  const Handle producer = connect(RD_KAFKA_PRODUCER, {{"bootstrap.servers", brokers},
                                                      {"enable.idempotence", "true"},
                                                      {"compression.type", "lz4"},
                                                      {"linger.ms", "20"}});
  std::string line;
  std::getline(std::cin, line);  // the header
  while (std::getline(std::cin, line)) {
    // scheduled,delay,distance,ORIGIN,destination
    std::size_t begin = 0;
    for (int comma = 0; comma < 3; ++comma) {
      begin = line.find(',', begin) + 1;
    }
    const std::string key = line.substr(begin, line.find(',', begin) - begin);
    rd_kafka_resp_err_t failure = RD_KAFKA_RESP_ERR_NO_ERROR;
    do {
      failure = rd_kafka_producev(
          producer.get(), RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_KEY(key.data(), key.size()),
          RD_KAFKA_V_VALUE(line.data(), line.size()),
          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
      rd_kafka_poll(producer.get(), failure == RD_KAFKA_RESP_ERR__QUEUE_FULL ? 50 : 0);
    } while (failure == RD_KAFKA_RESP_ERR__QUEUE_FULL);
    if (failure != RD_KAFKA_RESP_ERR_NO_ERROR) {
      std::cerr << "flights: " << rd_kafka_err2str(failure) << '\n';
      return 1;
    }
  }
  return rd_kafka_flush(producer.get(), 60'000) == RD_KAFKA_RESP_ERR_NO_ERROR ? 0 : 1;
}

int dump_topic(const std::string& brokers, const std::string& topic) {
  const Handle consumer = connect(RD_KAFKA_CONSUMER, {{"bootstrap.servers", brokers},
                                                      {"group.id", "flights-dump"},
                                                      {"isolation.level", "read_committed"},
                                                      {"enable.auto.commit", "false"},
                                                      {"enable.partition.eof", "true"},
                                                      {"auto.offset.reset", "earliest"}});
  rd_kafka_poll_set_consumer(consumer.get());
  int left = partition_count(consumer.get(), topic);
  rd_kafka_topic_partition_list_t* all = rd_kafka_topic_partition_list_new(left);
  for (int partition = 0; partition < left; ++partition) {
    rd_kafka_topic_partition_list_add(all, topic.c_str(), partition)->offset =
        RD_KAFKA_OFFSET_BEGINNING;
  }
  rd_kafka_assign(consumer.get(), all);
  rd_kafka_topic_partition_list_destroy(all);
  while (left > 0) {
    rd_kafka_message_t* message = rd_kafka_consumer_poll(consumer.get(), 10'000);
    if (message == nullptr) {
      std::cerr << "flights: no answer from " << brokers << '\n';
      return 1;
    }
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
      --left;
    } else if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      std::fwrite(message->payload, 1, message->len, stdout);
      std::fputc('\n', stdout);
    }
    rd_kafka_message_destroy(message);
  }
  rd_kafka_consumer_close(consumer.get());
  return 0;
}

}  // namespace flights
