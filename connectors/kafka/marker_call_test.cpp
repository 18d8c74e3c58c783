#include "kafka/marker_call.h"

#include <chrono>
#include <memory>
#include <string>

#include <gtest/gtest.h>
#include <librdkafka/rdkafka_mock.h>

namespace weir::kafka {
namespace {

/// Two brokers of librdkafka's own imitation: good enough for a coordinator that is away.
class MarkerCall : public ::testing::Test {
 protected:
  MarkerCall()
      : host_(rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), nullptr, 0)),
        brokers_(rd_kafka_mock_cluster_new(host_.get(), 2)) {
    rd_kafka_mock_topic_create(brokers_, "out", 1, 1);
    rd_kafka_mock_partition_set_leader(brokers_, "out", 0, 1);
    rd_kafka_mock_coordinator_set(brokers_, "transaction", "id", 1);
    rd_kafka_mock_coordinator_set(brokers_, "group", "markers", 2);
    Properties properties;
    properties.set("bootstrap.servers", rd_kafka_mock_cluster_bootstraps(brokers_));
    properties.set("log_level", "2");
    auto created =
        ProducerHandle::create(properties, "id", std::make_shared<Waker>(std::function<void()>()));
    EXPECT_TRUE(created.ok()) << (created.ok() ? "" : created.error().message);
    handle_ = std::move(created).value();
    EXPECT_TRUE(handle_->init_transactions(10'000).ok());
    EXPECT_TRUE(handle_->begin().ok());
    Record record;
    record.value = "x";
    EXPECT_TRUE(handle_->produce(record, "out", nullptr).ok());
    EXPECT_TRUE(handle_->flush(10'000));
  }
  ~MarkerCall() override {
    handle_.reset();
    rd_kafka_mock_cluster_destroy(brokers_);
  }

  Status send(int timeout_ms) {
    return send_marker_in_time(handle_, {"markers", "out"}, Marker{}, timeout_ms);
  }

  RdPtr<rd_kafka_t> host_;
  rd_kafka_mock_cluster_t* brokers_;
  std::shared_ptr<ProducerHandle> handle_;
};

TEST_F(MarkerCall, IsWhatTheClientSays) { EXPECT_TRUE(send(10'000).ok()); }

TEST_F(MarkerCall, AClientThatDoesNotComeBackIsGivenUp) {
  rd_kafka_mock_broker_set_down(brokers_, 2);
  const auto begin = std::chrono::steady_clock::now();
  const Status status = send(500);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kTimeout);
  EXPECT_NE(status.error().message.find("'markers'"), std::string::npos) << status.error().message;
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
  // It goes on when the coordinator is back, so that this test can end.
  rd_kafka_mock_broker_set_up(brokers_, 2);
  for (int i = 0; i < 600 && handle_.use_count() > 1; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

}  // namespace
}  // namespace weir::kafka
