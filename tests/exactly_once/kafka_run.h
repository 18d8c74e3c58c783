#pragma once

#include <memory>
#include <string>

#include "broker.h"
#include "campaign.h"
#include "committed_reader.h"
#include "job_process.h"
#include "kafka_topics.h"
#include "oracle.h"
#include "workspace.h"

namespace crash {

/// One Kafka pipeline under test: its topics with input, the job's settings, the model, and a
/// reader that judges the committed output while it appears.
class KafkaRun {
 public:
  struct Options {
    std::string pipeline = "kafka-kafka";
    /// The input is live: about this many events per second from the beginning of the test until
    /// finish(), for a job without end. 0 = all `records` are there beforehand and the job is
    /// bounded, unless is_bounded says otherwise: then the test produces them.
    double per_second = 4'000;
    std::uint64_t records = 2'000'000;
    std::uint64_t per_transaction = 0;  ///< see InputPlan
    bool is_bounded = true;
  };

  KafkaRun(Broker& the_broker, const Options& options);
  explicit KafkaRun(Broker& the_broker) : KafkaRun(the_broker, Options()) {}

  /// Adds events to an input that is not live.
  void produce(std::uint64_t first, std::uint64_t count);
  /// Kill points, recovery, rescaling: see Campaign. It takes over the settings at the first call.
  Campaign& campaign();
  /// A job process with the settings as they are.
  std::unique_ptr<JobProcess> start(const JobProcess::Faults& faults = {});
  /// Runs the job and expects it to be refused or to fail for good; the report says why.
  JobProcess::Report run_to_failure();
  /// The input ends; runs the job until all of it is in the output. A job without end is stopped
  /// by SIGTERM then, and must end well.
  void finish();
  /// The same with a job that runs already.
  void finish(JobProcess& job);
  /// Fails the test unless the reader sees each result once, in order, and no transaction is open.
  void expect_exact();
  /// Waits until the reader has seen everything that is committed.
  void wait_for_end();
  /// Fails the test unless what is committed so far is free of faults.
  void expect_prefix();
  /// Fails the test unless the log of the job has, or has not, a line with `text`.
  void expect_log(const std::string& text, bool is_there = true);

  Broker& broker;
  Workspace workspace;
  JobSettings settings;
  Oracle oracle;
  static constexpr std::uint32_t kKeys = 32;
  static constexpr int kInputPartitions = 4;
  static constexpr int kOutputPartitions = 3;

 private:
  InputPlan plan_of(std::uint64_t first, std::uint64_t count) const;

  Options options_;
  std::unique_ptr<LiveInput> input_;
  std::unique_ptr<CommittedReader> reader_;
  std::unique_ptr<Campaign> campaign_;
};

/// Puts what `oracle` must see of a topic into it.
CommittedReader::OnValue into(Oracle& oracle);

/// The sequence of test steps fails as a whole: use after every step that has ASSERTs.
#define STEP(statement) ASSERT_NO_FATAL_FAILURE(statement)

}  // namespace crash
