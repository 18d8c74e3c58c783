// Logins, TLS and start-up checks against a real broker.
#include <gtest/gtest.h>

#include "kafka/broker_client.h"
#include "kafka/rd_client.h"
#include "kafka/source_host.h"
#include "kafka/test_broker.h"

namespace weir::kafka::test {
namespace {

constexpr const char* kCanary = "S3CR3T-4f1c";

Properties sasl(const std::string& mechanism, const std::string& password = "weir-secret") {
  Properties properties;
  properties.set("bootstrap.servers", TestBroker::get().sasl_bootstrap());
  properties.set("security.protocol", "sasl_plaintext");
  properties.set("sasl.mechanism", mechanism);
  properties.set("sasl.username", "weir");
  properties.set("sasl.password", password);
  return properties;
}

Properties tls() {
  Properties properties;
  properties.set("bootstrap.servers", TestBroker::get().ssl_bootstrap());
  properties.set("security.protocol", "ssl");
  properties.set("ssl.ca.location", TestBroker::get().ca_file());
  return properties;
}

Status ask(const Properties& properties) {
  WEIR_ASSIGN(ClientConfig config, make_client_config(properties));
  BrokerClient client(std::move(config));
  return client.metadata(std::nullopt).status();
}

KafkaSinkBuilder<Line> sink_with(const Properties& properties, const std::string& topic) {
  KafkaSinkBuilder<Line> builder = line_sink(topic);
  for (const auto& [name, value] : properties.all()) {
    builder.set_property(name, value.reveal());
  }
  return builder;
}

class KafkaSecurity : public ::testing::Test {
 protected:
  void SetUp() override { WEIR_NEEDS_KAFKA(); }
};

TEST_F(KafkaSecurity, TheOwnClientLogsInWithEveryMechanism) {
  for (const char* mechanism : {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}) {
    const Status asked = ask(sasl(mechanism));
    EXPECT_TRUE(asked.ok()) << mechanism << ": " << asked.error().message;
  }
}

TEST_F(KafkaSecurity, AWrongPasswordIsOneClearErrorWithoutTheSecret) {
  for (const char* mechanism : {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}) {
    const Status asked = ask(sasl(mechanism, kCanary));
    ASSERT_FALSE(asked.ok()) << mechanism;
    EXPECT_EQ(asked.error().code, ErrorCode::kAuthentication) << asked.error().message;
    EXPECT_EQ(asked.error().message.find(kCanary), std::string::npos);
    EXPECT_NE(asked.error().message.find("sasl.password"), std::string::npos)
        << asked.error().message;
  }
}

TEST_F(KafkaSecurity, TheCertificateIsVerified) {
  const Status good = ask(tls());
  EXPECT_TRUE(good.ok()) << good.error().message;

  Properties without_ca;
  without_ca.set("bootstrap.servers", TestBroker::get().ssl_bootstrap());
  without_ca.set("security.protocol", "ssl");
  const Status refused = ask(without_ca);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kAuthentication) << refused.error().message;

  Properties plain = tls();
  plain.set("bootstrap.servers", TestBroker::get().bootstrap());
  EXPECT_FALSE(ask(plain).ok()) << "TLS to a plaintext port";
}

TEST_F(KafkaSecurity, ATlsPeerThatHangsUpIsAnErrorNotASignal) {
  Properties plain = tls();
  plain.set("bootstrap.servers", TestBroker::get().bootstrap());
  for (int i = 0; i < 20; ++i) {
    EXPECT_FALSE(ask(plain).ok());
    Properties without_ca = tls();
    without_ca.set("ssl.ca.location", "/etc/hostname");
    EXPECT_FALSE(ask(without_ca).ok());
  }
}

TEST_F(KafkaSecurity, ExactlyOnceWorksOverSaslPlainAndOverTls) {
  std::vector<Properties> ways{sasl("PLAIN"), tls()};
  if (TestBroker::get().is_old_protocol()) {
    ways.push_back(sasl("SCRAM-SHA-256"));
  }
  for (const Properties& properties : ways) {
    const std::string topic = TestBroker::get().make_topic("secure");
    SinkHost host(sink_with(properties, topic).build());
    ASSERT_TRUE(host.preflight().ok()) << host.preflight().error().message;
    host.open();
    ASSERT_TRUE(host.write({"s"}).ok());
    auto prepared = host.prepare(1);
    ASSERT_TRUE(prepared.ok()) << prepared.error().message;
    EXPECT_EQ(prepared.value().at(0).payload.find("weir-secret"), std::string::npos);
    host.close_writer();  // so that the commit goes through the recovery client
    const auto committed = host.commit(prepared.value().at(0));
    ASSERT_TRUE(committed.ok()) << committed.error().message;
    EXPECT_EQ(committed.value().outcome, CommitOutcome::kCommitted);
    EXPECT_EQ(read_until(topic, 1).size(), 1U);
  }
}

TEST_F(KafkaSecurity, ScramThatTheClientLibraryCannotDoIsRefusedAtTheStart) {
  const std::string topic = TestBroker::get().make_topic("scram");
  SinkHost host(sink_with(sasl("SCRAM-SHA-512"), topic).build());
  const Status checked = host.preflight();
  const bool must_fail = rd_kafka_version() < 0x020601ff && !TestBroker::get().is_old_protocol();
  ASSERT_EQ(checked.ok(), !must_fail);
  if (must_fail) {
    EXPECT_NE(checked.error().message.find("2.6.1"), std::string::npos);
    // The check is right about it: without it the writer itself would fail.
    SinkHost unchecked(sink_with(sasl("SCRAM-SHA-512"), topic).build());
    unchecked.open();
    const Status written = unchecked.write({"never"});
    ASSERT_FALSE(written.ok());
    EXPECT_EQ(written.error().code, ErrorCode::kAuthentication) << written.error().message;
  }
}

TEST_F(KafkaSecurity, StartUpChecksNameTheSettingAndTheMend) {
  const std::string topic = TestBroker::get().make_topic("checks");
  struct Row {
    KafkaSinkBuilder<Line> builder;
    const char* expected;
  };
  std::vector<Row> table;
  table.push_back({line_sink("no-such-topic-" + topic), "does not exist"});
  table.push_back({line_sink(topic).set_property("transaction.timeout.ms", "3600000"),
                   "transaction.max.timeout.ms"});
  table.push_back(
      {line_sink(topic).set_property("transaction.timeout.ms", "60000").set_replay_log(false),
       "set_worst_recovery"});
  table.push_back({line_sink(topic).set_bootstrap_servers("127.0.0.1:1"), "127.0.0.1:1"});
  table.push_back({line_sink(topic).set_property("lingr.ms", "1"), "linger.ms"});
  table.push_back({line_sink(topic).set_property("acks", "1"), "acks=all"});
  table.push_back({sink_with(sasl("PLAIN", kCanary), topic), "sasl.password"});
  for (Row& row : table) {
    SinkHost host(row.builder.build());
    const Status checked = host.preflight();
    ASSERT_FALSE(checked.ok()) << row.expected;
    EXPECT_NE(checked.error().message.find(row.expected), std::string::npos)
        << checked.error().message;
    EXPECT_EQ(checked.error().message.find(kCanary), std::string::npos);
  }
  SinkHost good(line_sink(topic).build());
  EXPECT_TRUE(good.preflight().ok());
  EXPECT_TRUE(line_source(topic).build()->preflight({}).ok());
  EXPECT_FALSE(line_source("no-such-topic-" + topic).build()->preflight({}).ok());
}

}  // namespace
}  // namespace weir::kafka::test
