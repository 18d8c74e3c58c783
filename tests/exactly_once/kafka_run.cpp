#include "kafka_run.h"

#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "event_text.h"

namespace crash {
namespace {

constexpr int kEndTimeoutMs = 90'000;

}  // namespace

CommittedReader::OnValue into(Oracle& oracle) {
  return [&oracle](std::string_view value) {
    if (const auto total = parse_total(value)) {
      oracle.add(*total);
    } else {
      oracle.add_garbage();
    }
  };
}

KafkaRun::KafkaRun(Broker& the_broker, const Options& options)
    : broker(the_broker),
      oracle(campaign_seed(), kKeys, options.records,
             options.pipeline == "kafka-both" || options.pipeline == "kafka-twins"
                 ? Oracle::Values::kOwn
                 : Oracle::Values::kRunning),
      options_(options) {
  settings.pipeline = options.pipeline;
  settings.seed = campaign_seed();
  settings.keys = kKeys;
  settings.records = options.records;
  settings.input = broker.create_topic("input", kInputPartitions);
  settings.output = broker.create_topic("output", kOutputPartitions);
  settings.checkpoints = workspace.path("checkpoints");
  settings.job_id = settings.output;  // Its transactional ids are unique on the broker, too.
  settings.bootstrap = broker.bootstrap();
  settings.is_bounded = options.is_bounded && options.per_second == 0;
  reader_ = std::make_unique<CommittedReader>(broker.bootstrap(), settings.output,
                                              kOutputPartitions, into(oracle));
  if (options.per_second > 0) {
    input_ = std::make_unique<LiveInput>(plan_of(0, options.records), options.per_second);
  } else if (options.is_bounded) {
    produce(0, options.records);
  }
}

void KafkaRun::produce(std::uint64_t first, std::uint64_t count) {
  produce_events(plan_of(first, count));
}

InputPlan KafkaRun::plan_of(std::uint64_t first, std::uint64_t count) const {
  InputPlan plan;
  plan.bootstrap = broker.bootstrap();
  plan.topic = settings.input;
  plan.partitions = kInputPartitions;
  plan.seed = settings.seed;
  plan.keys = settings.keys;
  plan.first = first;
  plan.count = count;
  plan.per_transaction = options_.per_transaction;
  return plan;
}

Campaign& KafkaRun::campaign() {
  if (campaign_ == nullptr) {
    campaign_ = std::make_unique<Campaign>(settings, workspace.log(), settings.seed);
    // A consumer takes half a second to deliver its first records.
    campaign_->set_passage(8);
    campaign_->set_point_before_recovery("kafka.commit.before_end_txn:2");
  }
  return *campaign_;
}

std::unique_ptr<JobProcess> KafkaRun::start(const JobProcess::Faults& faults) {
  return std::make_unique<JobProcess>(settings, workspace.log(), faults);
}

JobProcess::Report KafkaRun::run_to_failure() {
  const auto job = start();
  const auto ending = job->wait(Milliseconds(kEndTimeoutMs));
  EXPECT_TRUE(ending.has_value()) << "the job goes on where it must stop; see " << workspace.log();
  if (ending.has_value()) {
    EXPECT_EQ(ending->exit_status, 1) << ending->to_string();
    EXPECT_EQ(job->report().end, "failed");
  }
  return job->report();
}

void KafkaRun::finish() {
  const auto job = start();
  finish(*job);
}

void KafkaRun::finish(JobProcess& job) {
  if (input_ != nullptr) {
    oracle.limit(input_->stop());
  }
  if (!settings.is_bounded) {
    // A process that has not come to install its handler is simply killed by SIGTERM.
    EXPECT_TRUE(job.wait_until_running(Milliseconds(kEndTimeoutMs))) << job.report().error;
    if (settings.guarantee != weir::DeliveryGuarantee::kExactlyOnce) {
      EXPECT_TRUE(job.wait_for_checkpoints(6, Milliseconds(kEndTimeoutMs)));
    }
    if (settings.guarantee == weir::DeliveryGuarantee::kNone) {
      reader_->wait_until_quiet();  // what is lost does not come
    } else {
      EXPECT_TRUE(reader_->wait_for(oracle.expected(), kEndTimeoutMs))
          << reader_->seen() << " of " << oracle.expected() << " results; see " << workspace.log();
    }
    job.terminate();
  }
  const auto ending = job.wait(Milliseconds(kEndTimeoutMs));
  ASSERT_TRUE(ending.has_value()) << "the job does not end; see " << workspace.log();
  ASSERT_TRUE(ending->is_success())
      << ending->to_string() << " " << job.report().error << "; see " << workspace.log();
}

void KafkaRun::expect_exact() {
  EXPECT_TRUE(reader_->wait_for(oracle.expected(), 30'000)) << "see " << workspace.log();
  EXPECT_TRUE(reader_->wait_for_end(10'000));
  const Faults faults = oracle.at_end();
  EXPECT_TRUE(faults.none()) << faults.to_string() << "; see " << workspace.log();
  EXPECT_TRUE(broker.is_stable_within(settings.output, 10'000)) << "a transaction is left open";
}

void KafkaRun::wait_for_end() { EXPECT_TRUE(reader_->wait_for_end(20'000)); }

void KafkaRun::expect_prefix() {
  wait_for_end();
  const Faults faults = oracle.so_far();
  EXPECT_TRUE(faults.none()) << faults.to_string() << "; see " << workspace.log();
}

void KafkaRun::expect_log(const std::string& text, bool is_there) {
  std::ifstream in(workspace.log());
  std::stringstream all;
  all << in.rdbuf();
  EXPECT_EQ(all.str().find(text) != std::string::npos, is_there)
      << "'" << text << "' in " << workspace.log();
}

}  // namespace crash
