// Stored forms: committables, writer state, replay log, splits; and how ids are made.
#include <gtest/gtest.h>

#include "kafka/client_config.h"
#include "kafka/committable.h"
#include "kafka/live_transactions.h"
#include "kafka/partition_split.h"
#include "kafka/rd_client.h"
#include "kafka/replay_log.h"
#include "weir/codec.h"

namespace weir::kafka {
namespace {

std::vector<Record> sample_records() {
  std::vector<Record> records(4);
  records[0].value = "plain";
  records[1].key = "k";
  records[1].value = std::string("\0\xff", 2);
  records[1].headers = {{"h", "v"}, {"null", std::nullopt}};
  records[1].partition = 3;
  records[1].timestamp = -5;
  records[1].topic = "elsewhere";
  records[2].key = "";
  records[2].is_tombstone = true;
  return records;
}

TEST(ReplayLog, RecordsComeBackAsTheyWere) {
  ReplayLogBuilder log;
  const std::vector<Record> records = sample_records();
  for (const Record& record : records) {
    log.append(record);
  }
  const std::string first = log.take_chunk();
  EXPECT_TRUE(log.empty());
  log.append(records[0]);
  const std::string second = log.take_chunk();
  EXPECT_EQ(decode_replay_chunk(first, 0).value(), records);
  EXPECT_EQ(decode_replay_chunk(second, 1).value(), std::vector<Record>{records[0]});
  EXPECT_FALSE(decode_replay_chunk(second, 0).ok()) << "chunks in the wrong order";
}

TEST(ReplayLog, E5_AnyChangedByteAndAnyCutIsRefused) {
  ReplayLogBuilder log;
  for (const Record& record : sample_records()) {
    log.append(record);
  }
  const std::string chunk = log.take_chunk();
  for (std::size_t i = 0; i < chunk.size(); ++i) {
    std::string flipped = chunk;
    flipped[i] = static_cast<char>(flipped[i] ^ 0x10);
    EXPECT_FALSE(decode_replay_chunk(flipped, 0).ok()) << i;
    EXPECT_FALSE(decode_replay_chunk(chunk.substr(0, i), 0).ok()) << i;
  }
}

TEST(KafkaCommittable, MalformedOnesAreRefused) {
  PreparedTransaction prepared;
  prepared.transactional_id = "id";
  Committable committable;
  committable.payload = encode_value(prepared);
  EXPECT_EQ(decode_prepared(committable).value().transactional_id, "id");
  committable.payload.pop_back();
  EXPECT_FALSE(decode_prepared(committable).ok());
  prepared.format = 2;
  committable.payload = encode_value(prepared);
  EXPECT_FALSE(decode_prepared(committable).ok());
}

TEST(TransactionalIds, B2_SinksAndPipelinesNeverShareOne) {
  const auto prefix = [](std::string pipeline, std::string uid) {
    SinkContext context;
    context.pipeline_id = std::move(pipeline);
    context.sink_uid = std::move(uid);
    return default_prefix(context);
  };
  EXPECT_NE(prefix("job", "a"), prefix("job", "b"));
  EXPECT_NE(prefix("a.b", "c"), prefix("a", "b.c"));
  const std::string long_name(400, 'x');
  EXPECT_NE(prefix(long_name, "a"), prefix(long_name, "b"));
  EXPECT_LE(prefix(long_name, "a").size(), 200U);
}

TEST(TransactionalIds, AreRecognisedByTheirExactPrefix) {
  EXPECT_EQ(transactional_id("p", 3, 1), "p-3-1");
  EXPECT_TRUE(is_id_of_prefix("p-3-1", "p"));
  EXPECT_TRUE(is_id_of_prefix("p-1-0-0", "p-1"));
  for (const char* other : {"p-1-0-0", "p-3", "p-3-", "q-3-1", "p-3-x", "p", "pp-3-1", "p-3-1x"}) {
    EXPECT_FALSE(is_id_of_prefix(other, "p")) << other;
  }
}

TEST(TransactionalIds, TwoSinksWithOnePrefixAreRefused) {
  auto first = PrefixClaim::take("shared", "job/a");
  ASSERT_TRUE(first.ok());
  EXPECT_TRUE(PrefixClaim::take("shared", "job/a").ok()) << "another subtask of the same sink";
  const auto second = PrefixClaim::take("shared", "job/b");
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.error().message.find("shared"), std::string::npos);
  first.value().reset();
  EXPECT_TRUE(PrefixClaim::take("shared", "job/b").ok());
}

TEST(ClientConfig, ServersAndMechanismsAreChecked) {
  EXPECT_EQ(parse_bootstrap_servers("a:1, b,[::1]:3").value().size(), 3U);
  EXPECT_EQ(parse_bootstrap_servers("a:1, b,[::1]:3").value()[2].host, "::1");
  EXPECT_EQ(parse_bootstrap_servers("a:1, b").value()[1].port, 9092);
  for (const char* bad : {"", "a:x", "a:0", "a:70000", ":9092", ","}) {
    EXPECT_FALSE(parse_bootstrap_servers(bad).ok()) << bad;
  }
  Properties properties;
  properties.set("bootstrap.servers", "a:1");
  properties.set("security.protocol", "sasl_ssl");
  EXPECT_FALSE(make_client_config(properties).ok());
  properties.set("sasl.mechanisms", "GSSAPI");
  EXPECT_FALSE(make_client_config(properties).ok());
  properties.set("sasl.mechanism", "SCRAM-SHA-512");
  properties.set("sasl.username", "u");
  EXPECT_FALSE(make_client_config(properties).ok());
  properties.set("sasl.password", "p");
  const auto config = make_client_config(properties);
  ASSERT_TRUE(config.ok());
  EXPECT_TRUE(config.value().use_tls);
  EXPECT_TRUE(config.value().verify_hostname);
}

TEST(ClientConfig, AnUnknownPropertyIsNamedWithItsNearestNeighbourAndNoSecretIsShown) {
  Properties properties;
  properties.set("lingr.ms", "3");
  const auto conf = make_rd_conf(properties, {});
  ASSERT_FALSE(conf.ok());
  EXPECT_NE(conf.error().message.find("linger.ms"), std::string::npos) << conf.error().message;

  Properties secret;
  secret.set("sasl.password", "S3CR3T-canary");
  EXPECT_EQ(secret.masked("wrong: S3CR3T-canary!"), "wrong: ***!");
  const auto reserved = make_rd_conf(secret, {"sasl.password"});
  ASSERT_FALSE(reserved.ok());
  EXPECT_EQ(reserved.error().message.find("S3CR3T"), std::string::npos);
}

TEST(PartitionSplits, AreStoredWithTheirIdAndDealtOutByFlinksFormula) {
  PartitionSplit split;
  split.topic = "orders";
  split.partition = 4;
  split.position = 17;
  const SourceSplit stored = to_source_split(split);
  EXPECT_EQ(stored.id, "orders-4");
  EXPECT_EQ(from_source_split(stored).value().position, 17);
  EXPECT_FALSE(from_source_split({"orders-5", stored.state}).ok());
  // "test".hashCode() = 3556498; 3556498 * 31 = 110251438.
  EXPECT_EQ(owner_of("test", 0, 4), 110251438 % 4);
  EXPECT_EQ(owner_of("test", 3, 4), (110251438 % 4 + 3) % 4);
}

}  // namespace
}  // namespace weir::kafka
