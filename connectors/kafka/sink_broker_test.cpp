// The sink against a real broker: what becomes visible, when, and how often.
#include <set>

#include <gtest/gtest.h>

#include "kafka/committable.h"
#include "kafka/epoch_replay.h"
#include "kafka/producer_handle.h"
#include "kafka/recovery_client.h"
#include "kafka/test_broker.h"
#include "kafka/test_host.h"
#include "weir/codec.h"

namespace weir::kafka::test {
namespace {

using namespace std::chrono_literals;
using Strings = std::vector<std::string>;

class KafkaSinkOnBroker : public ::testing::Test {
 protected:
  void SetUp() override { WEIR_NEEDS_KAFKA(); }

  /// One line of an epoch, prepared by a writer that is gone afterwards.
  Committable prepared_by_a_crashed_writer(SinkHost& host, CheckpointId checkpoint,
                                           const Strings& lines) {
    host.open();
    EXPECT_TRUE(host.write(lines).ok());
    auto prepared = host.prepare(checkpoint);
    EXPECT_TRUE(prepared.ok()) << prepared.error().message;
    host.close_writer();
    EXPECT_EQ(prepared.value().size(), 1U);
    return prepared.value().at(0);
  }
  /// Rolls back what is open under the id, as the broker does after transaction.timeout.ms.
  void fence(const std::string& transactional_id) {
    Properties properties;
    properties.set("bootstrap.servers", TestBroker::get().bootstrap());
    RecoveryClient client(make_client_config(properties).value());
    const Status fenced = client.fence(transactional_id, deadline_after_ms(10'000));
    ASSERT_TRUE(fenced.ok()) << fenced.error().message;
  }
};

TEST_F(KafkaSinkOnBroker, NothingIsVisibleBeforeTheCommitAndEverythingOnceAfterIt) {
  const std::string topic = TestBroker::get().make_topic("visible");
  SinkHost host(line_sink(topic).build());
  ASSERT_TRUE(host.preflight().ok()) << host.preflight().error().message;
  host.open();
  ASSERT_TRUE(host.write({"a", "b"}).ok());
  auto first = host.prepare(1);
  ASSERT_TRUE(first.ok()) << first.error().message;
  ASSERT_TRUE(host.write({"c"}).ok());
  auto second = host.prepare(2);
  ASSERT_TRUE(second.ok()) << second.error().message;
  EXPECT_EQ(read_topic(topic), Strings{});

  auto committed = host.commit(first.value().at(0));
  ASSERT_TRUE(committed.ok()) << committed.error().message;
  EXPECT_EQ(committed.value().outcome, CommitOutcome::kCommitted);
  EXPECT_EQ(committed.value().detail, "live producer");
  EXPECT_EQ(read_until(topic, 2), (Strings{"a", "b"}));
  ASSERT_TRUE(host.commit(second.value().at(0)).ok());
  EXPECT_EQ(read_until(topic, 3), (Strings{"a", "b", "c"}));
}

TEST_F(KafkaSinkOnBroker, C12_ManyEpochsReuseThePoolOfIds) {
  const std::string topic = TestBroker::get().make_topic("pool");
  SinkHost host(line_sink(topic).build());
  host.open();
  Strings expected;
  for (int epoch = 1; epoch <= 12; ++epoch) {
    const std::string line = "epoch " + std::to_string(epoch);
    expected.push_back(line);
    ASSERT_TRUE(host.write({line}).ok());
    auto prepared = host.prepare(epoch);
    ASSERT_TRUE(prepared.ok()) << prepared.error().message;
    auto committed = host.commit(prepared.value().at(0));
    ASSERT_TRUE(committed.ok()) << committed.error().message;
  }
  EXPECT_EQ(read_until(topic, 12), expected);
  const auto state = decode_writer_state(host.state());
  ASSERT_TRUE(state.ok());
  EXPECT_LE(state.value().transactional_ids.size(), 4U);
}

TEST_F(KafkaSinkOnBroker, A4_APreparedEpochIsCommittedFromItsIdentityAlone) {
  const std::string topic = TestBroker::get().make_topic("identity");
  SinkHost host(line_sink(topic).build());
  const Committable committable = prepared_by_a_crashed_writer(host, 7, {"x", "y"});
  EXPECT_EQ(read_topic(topic), Strings{});

  auto committed = host.commit(committable);
  ASSERT_TRUE(committed.ok()) << committed.error().message;
  EXPECT_EQ(committed.value().outcome, CommitOutcome::kCommitted);
  EXPECT_EQ(committed.value().detail, "by identity; marker read back");
  EXPECT_EQ(read_until(topic, 2), (Strings{"x", "y"}));

  // The reply may have been lost: the same commit again changes nothing.
  auto again = host.commit(committable);
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(again.value().outcome, CommitOutcome::kCommitted);
  EXPECT_EQ(read_topic(topic), (Strings{"x", "y"}));
}

/// Readers of committed records are free again some time after the broker has ended a transaction.
bool is_rolled_back(const std::string& topic) {
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  auto offsets = stable_and_end_offset(topic);
  while (offsets.first != offsets.second && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(50ms);
    offsets = stable_and_end_offset(topic);
  }
  return offsets.first == offsets.second;
}

TEST_F(KafkaSinkOnBroker, A1_AnEpochTheBrokerTimedOutIsProducedAgainFromTheReplayLog) {
  const std::string topic = TestBroker::get().make_topic("timeout");
  SinkHost host(line_sink(topic)
                    .set_property("transaction.timeout.ms", "1500")
                    .set_property("message.timeout.ms", "1500")
                    .build());
  const Committable committable = prepared_by_a_crashed_writer(host, 3, {"p", "q"});
  ASSERT_FALSE(committable.files.empty());
  ASSERT_TRUE(is_rolled_back(topic));

  auto committed = host.commit(committable);
  ASSERT_TRUE(committed.ok()) << committed.error().message;
  EXPECT_EQ(committed.value().outcome, CommitOutcome::kCommitted);
  EXPECT_NE(committed.value().detail.find("replay log"), std::string::npos);
  EXPECT_EQ(read_until(topic, 2), (Strings{"p", "q"}));

  auto again = host.commit(committable);
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(again.value().outcome, CommitOutcome::kAlreadyCommitted);
  EXPECT_EQ(read_topic(topic), (Strings{"p", "q"}));
}

// A commit must not keep its thread for as long as a large epoch takes.
TEST_F(KafkaSinkOnBroker, A1_ALargeEpochIsProducedAgainInSlices) {
  const std::string topic = TestBroker::get().make_topic("slices");
  SinkHost host(line_sink(topic).build());
  Strings lines;
  for (int i = 0; i < 20'000; ++i) {
    lines.push_back("line " + std::to_string(i));
  }
  const Committable committable = prepared_by_a_crashed_writer(host, 3, lines);
  const PreparedTransaction prepared = decode_prepared(committable).value();
  Properties properties;
  properties.set("bootstrap.servers", TestBroker::get().bootstrap());
  properties.set("queue.buffering.max.messages", "1000");
  auto producer = ProducerHandle::create(properties, prepared.transactional_id,
                                         std::make_shared<Waker>(nullptr))
                      .value();
  ASSERT_TRUE(producer->init_transactions(60'000).ok());  // rolls the epoch back

  EpochReplay replay(producer, committable, prepared, &host.files, LineageEntry{});
  std::set<std::string> seen;
  auto progress = replay.run_slice(deadline_after_ms(1));
  const auto deadline = std::chrono::steady_clock::now() + 120s;
  while (progress.ok() && progress.value() == EpochReplay::Progress::kGoingOn &&
         std::chrono::steady_clock::now() < deadline) {
    EXPECT_TRUE(replay.how_far().ends_with(" of 20000 records")) << replay.how_far();
    seen.insert(replay.how_far());
    progress = replay.run_slice(deadline_after_ms(1));
  }
  ASSERT_TRUE(progress.ok()) << progress.error().message;
  EXPECT_EQ(progress.value(), EpochReplay::Progress::kCommitted);
  EXPECT_GE(seen.size(), 3U) << "several slices, each further than the one before";
  EXPECT_EQ(read_until(topic, lines.size()), lines);
  auto again = host.commit(committable);
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(again.value().outcome, CommitOutcome::kAlreadyCommitted);
}

TEST_F(KafkaSinkOnBroker, A1_WithoutAReplayLogALostEpochIsReportedAsLost) {
  const std::string topic = TestBroker::get().make_topic("lost");
  SinkHost host(line_sink(topic).set_replay_log(false).build());
  const Committable committable = prepared_by_a_crashed_writer(host, 3, {"p", "q"});
  EXPECT_TRUE(committable.files.empty());
  ASSERT_TRUE(host.committer().abort_orphans({}, {committable}).ok());

  auto lost = host.commit(committable);
  ASSERT_TRUE(lost.ok()) << lost.error().message;
  EXPECT_EQ(lost.value().outcome, CommitOutcome::kLost);
  for (const std::string& part : {std::string("checkpoint 3"), topic, std::string("2 records")}) {
    EXPECT_NE(lost.value().detail.find(part), std::string::npos) << lost.value().detail;
  }
}

TEST_F(KafkaSinkOnBroker, TheMarkerProvesACommitWhenTheIdWasInitialisedAgain) {
  const std::string topic = TestBroker::get().make_topic("marker");
  SinkHost host(line_sink(topic).build());
  const Committable committable = prepared_by_a_crashed_writer(host, 3, {"m"});
  ASSERT_TRUE(host.commit(committable).ok());
  // Fenced after the commit: EndTxn alone would look like a loss now.
  ASSERT_TRUE(host.committer().abort_orphans({}, {committable}).ok());
  auto again = host.commit(committable);
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(again.value().outcome, CommitOutcome::kAlreadyCommitted);
  EXPECT_EQ(read_topic(topic), Strings{"m"});
}

// Whatever the writers have written since stands before an epoch that is produced again.
TEST_F(KafkaSinkOnBroker, A1_AnEpochRolledBackUnderARunningWriterIsBroughtBackByTheRestoreInOrder) {
  const std::string topic = TestBroker::get().make_topic("live-abort");
  const SinkContext context = SinkHost::default_context();
  SinkHost host(line_sink(topic).build(), context);
  host.committer().begin_restore({});
  ASSERT_TRUE(host.committer().abort_orphans({}, {}).ok());
  host.open();
  std::vector<Committable> prepared;
  for (int epoch = 1; epoch <= 3; ++epoch) {
    ASSERT_TRUE(host.write({"epoch " + std::to_string(epoch)}).ok());
    auto one = host.prepare(epoch);
    ASSERT_TRUE(one.ok()) << one.error().message;
    prepared.push_back(one.value().at(0));
  }
  fence(decode_prepared(prepared[0]).value().transactional_id);
  const auto rolled_back = host.commit(prepared[0]);
  ASSERT_TRUE(rolled_back.ok()) << rolled_back.error().message;
  EXPECT_EQ(rolled_back.value().outcome, CommitOutcome::kRolledBack);
  EXPECT_EQ(read_topic(topic), Strings{});
  host.close_writer();

  SinkHost restored(line_sink(topic).build(), context);
  restored.files.files = host.files.files;
  restored.committer().begin_restore(prepared);
  for (const Committable& one : prepared) {
    const auto committed = restored.commit(one);
    ASSERT_TRUE(committed.ok()) << committed.error().message;
    EXPECT_EQ(committed.value().outcome, CommitOutcome::kCommitted);
  }
  EXPECT_EQ(read_until(topic, 3), (Strings{"epoch 1", "epoch 2", "epoch 3"}));
}

TEST_F(KafkaSinkOnBroker, AnEmptyEpochHasNoCommittableAndKeepsItsProducer) {
  const std::string topic = TestBroker::get().make_topic("empty");
  SinkHost host(line_sink(topic).build());
  host.open();
  for (int epoch = 1; epoch <= 5; ++epoch) {
    auto prepared = host.prepare(epoch);
    ASSERT_TRUE(prepared.ok());
    EXPECT_TRUE(prepared.value().empty());
  }
  ASSERT_TRUE(host.write({"z"}).ok());
  auto prepared = host.prepare(6);
  ASSERT_TRUE(prepared.ok()) << prepared.error().message;
  ASSERT_TRUE(host.commit(prepared.value().at(0)).ok());
  EXPECT_EQ(read_until(topic, 1), Strings{"z"});
}

TEST_F(KafkaSinkOnBroker, N2_OrphansOfAnAttemptWithoutACheckpointAreAborted) {
  const std::string topic = TestBroker::get().make_topic("orphans");
  const SinkContext context = SinkHost::default_context();
  SinkHost crashed(line_sink(topic).build(), context);
  prepared_by_a_crashed_writer(crashed, 1, {"never"});
  const auto before = stable_and_end_offset(topic);
  ASSERT_LT(before.first, before.second);

  SinkHost next(line_sink(topic).build(), context);
  ASSERT_TRUE(next.committer().abort_orphans({}, {}).ok());
  const auto after = stable_and_end_offset(topic);
  EXPECT_EQ(after.first, after.second);
  EXPECT_EQ(read_topic(topic), Strings{});
}

TEST_F(KafkaSinkOnBroker, ManyPreparedEpochsGrowThePoolInsteadOfBlockingTheBarrier) {
  const std::string topic = TestBroker::get().make_topic("grow");
  SinkHost host(line_sink(topic).build());
  host.open();
  std::vector<Committable> all;
  for (int epoch = 1; epoch <= 6; ++epoch) {  // the pool starts with 3
    ASSERT_TRUE(host.write({std::to_string(epoch)}).ok());
    auto prepared = host.prepare(epoch);
    ASSERT_TRUE(prepared.ok()) << prepared.error().message;
    all.push_back(prepared.value().at(0));
  }
  for (const Committable& one : all) {
    ASSERT_TRUE(host.commit(one).ok());
  }
  EXPECT_EQ(read_until(topic, 6), (Strings{"1", "2", "3", "4", "5", "6"}));
}

TEST_F(KafkaSinkOnBroker, AClosedWriterAbortsWhatItDidNotPrepare) {
  const std::string topic = TestBroker::get().make_topic("closed");
  SinkHost host(line_sink(topic).build());
  host.open();
  ASSERT_TRUE(host.write({"gone"}).ok());
  std::this_thread::sleep_for(200ms);
  host.close_writer();
  EXPECT_TRUE(is_rolled_back(topic));
  EXPECT_EQ(read_topic(topic), Strings{});
}

TEST_F(KafkaSinkOnBroker, RecordsBeyondTheClientsQueueAreHeldBackNotLost) {
  const std::string topic = TestBroker::get().make_topic("full");
  SinkHost host(line_sink(topic).set_property("queue.buffering.max.messages", "100").build());
  host.open();
  Strings lines;
  for (int i = 0; i < 5'000; ++i) {
    lines.push_back("line " + std::to_string(i));
  }
  ASSERT_TRUE(host.write(lines).ok());
  auto prepared = host.prepare(1);
  ASSERT_TRUE(prepared.ok()) << prepared.error().message;
  ASSERT_TRUE(host.commit(prepared.value().at(0)).ok());
  EXPECT_EQ(read_until(topic, lines.size()), lines);
}

TEST_F(KafkaSinkOnBroker, AtLeastOnceIsOnTheBrokerWhenTheBarrierIsThrough) {
  const std::string topic = TestBroker::get().make_topic("alo");
  SinkHost host(line_sink(topic).set_delivery_guarantee(DeliveryGuarantee::kAtLeastOnce).build());
  host.open();
  ASSERT_TRUE(host.write({"1", "2", "3"}).ok());
  auto prepared = host.prepare(1);
  ASSERT_TRUE(prepared.ok()) << prepared.error().message;
  EXPECT_TRUE(prepared.value().empty());
  EXPECT_EQ(read_topic(topic), (Strings{"1", "2", "3"}));
}

TEST_F(KafkaSinkOnBroker, D1_ARejectedRecordFailsTheEpoch) {
  const std::string topic = TestBroker::get().make_topic("reject");
  for (const auto guarantee : {DeliveryGuarantee::kExactlyOnce, DeliveryGuarantee::kAtLeastOnce}) {
    SinkHost host(line_sink(topic)
                      .set_delivery_guarantee(guarantee)
                      .set_property("message.max.bytes", "3000000")
                      .build());
    host.open();
    Status status = host.write({"small", std::string(2'000'000, 'x')});
    if (status.ok()) {
      status = host.prepare(1).status();
    }
    ASSERT_FALSE(status.ok());
    EXPECT_NE(status.error().message.find("MSG_SIZE_TOO_LARGE"), std::string::npos)
        << status.error().message;
  }
}

// The client refuses records once the transaction is broken, often before the delivery report of
// the record that broke it is served.
TEST_F(KafkaSinkOnBroker, D1_RecordsWrittenAfterARejectedOneReportTheRejection) {
  const std::string topic = TestBroker::get().make_topic("after-reject");
  Properties properties;
  properties.set("bootstrap.servers", TestBroker::get().bootstrap());
  properties.set("message.max.bytes", "3000000");
  Record huge;
  huge.value = std::string(2'000'000, 'x');
  Record small;
  small.value = "small";
  for (int round = 0; round < 4; ++round) {
    auto handle = ProducerHandle::create(properties, topic + std::to_string(round),
                                         std::make_shared<Waker>(nullptr))
                      .value();
    ASSERT_TRUE(handle->init_transactions(60'000).ok());
    ASSERT_TRUE(handle->begin().ok());
    ASSERT_TRUE(handle->produce(huge, topic, nullptr).ok());
    Status status;
    const auto deadline = std::chrono::steady_clock::now() + 60s;
    while (status.ok() && std::chrono::steady_clock::now() < deadline) {
      status = handle->produce(small, topic, nullptr).status();
      std::this_thread::sleep_for(200us);
    }
    ASSERT_FALSE(status.ok());
    EXPECT_NE(status.error().message.find("MSG_SIZE_TOO_LARGE"), std::string::npos)
        << status.error().message;
    EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(handle->error().error().message, status.error().message);
  }
}

// librdkafka frees the text of the error twice when more refusals arrive while it ends; the
// sanitizer, or a C library that checks its heap, would see it.
TEST_F(KafkaSinkOnBroker, D4_AFencedProducerGoesWhileItsRequestsAreUnderWay) {
  const std::string topic = TestBroker::get().make_topic("fenced-and-gone", 4);
  Properties properties;
  properties.set("bootstrap.servers", TestBroker::get().bootstrap());
  properties.set("linger.ms", "0");
  properties.set("batch.num.messages", "1");  // many requests under way
  const auto producer = [&] {
    auto handle =
        ProducerHandle::create(properties, topic, std::make_shared<Waker>(nullptr)).value();
    EXPECT_TRUE(handle->init_transactions(60'000).ok());
    return handle;
  };
  Record record;
  record.value = "x";
  std::shared_ptr<ProducerHandle> old = producer();
  for (int round = 0; round < 8; ++round) {
    ASSERT_TRUE(old->begin().ok());
    std::thread successor;
    std::shared_ptr<ProducerHandle> next;
    const auto deadline = std::chrono::steady_clock::now() + 60s;
    for (int i = 0; old->produce(record, topic, nullptr).ok() && old->error().ok(); ++i) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "nobody has fenced it";
      old->poll();
      if (i == 200) {
        successor = std::thread([&] { next = producer(); });
      }
      if (i % 16 == 0) {
        std::this_thread::sleep_for(1ms);
      }
    }
    old.reset();
    successor.join();
    ASSERT_NE(next, nullptr);
    old = std::move(next);
  }
}

}  // namespace
}  // namespace weir::kafka::test
