#include "recovery/client_scenario.h"

/// Settings that say when checkpoints are taken.
namespace weir::recovery {
namespace {

/// Reports a backlog until its enumerator was polled so many times.
class BacklogEnumerator final : public SplitEnumerator {
 public:
  explicit BacklogEnumerator(std::atomic<bool>& is_backlog) : is_backlog_(is_backlog) {}
  Status start(EnumeratorContext& context, const std::vector<SourceSplit>&) override {
    context_ = &context;
    context.assign(0, {{"split-0", "0"}});
    return poll();
  }
  Status poll() override {
    context_->set_processing_backlog(is_backlog_.load());
    return {};
  }
  DurationMs poll_interval() const override { return DurationMs(5); }
  Status handle_split_request(int) override { return {}; }
  Result<std::string> snapshot(CheckpointId) override { return std::string(); }

 private:
  std::atomic<bool>& is_backlog_;
  EnumeratorContext* context_ = nullptr;
};

class BacklogSource final : public Source {
 public:
  explicit BacklogSource(std::atomic<bool>& is_backlog) : is_backlog_(is_backlog) {}
  Boundedness boundedness() const override { return Boundedness::kUnbounded; }
  const TypeOps& record_type() const override { return type_ops<Event>(); }
  Status preflight(const SourceContext&) override { return {}; }
  Result<std::unique_ptr<SplitEnumerator>> create_enumerator(const SourceContext&) override {
    return std::unique_ptr<SplitEnumerator>(std::make_unique<BacklogEnumerator>(is_backlog_));
  }
  Result<std::unique_ptr<SplitEnumerator>> restore_enumerator(const SourceContext& context,
                                                              const std::string&) override {
    return create_enumerator(context);
  }
  Result<std::unique_ptr<SourceReader>> create_reader(SourceReaderContext) override {
    SourceSettings settings;
    settings.count = 1'000'000'000;
    return std::unique_ptr<SourceReader>(std::make_unique<RewindingReader>(settings));
  }

 private:
  std::atomic<bool>& is_backlog_;
};

class CheckpointSettingsTest : public JobClientTest {};

TEST_F(CheckpointSettingsTest, DuringABacklogTheOtherIntervalCounts) {
  std::atomic<bool> is_backlog{true};
  Configuration settings = configuration(1);
  settings.set(options::kCheckpointIntervalDuringBacklog, DurationMs(0));
  Environment environment(settings);
  environment
      .from_source<Event>(std::make_shared<BacklogSource>(is_backlog),
                          WatermarkStrategy<Event>::no_watermarks(), "events")
      .uid("events")
      .sink_to(std::make_shared<MemorySink<Event>>(std::make_shared<Target<Event>>()))
      .uid("out");
  JobClient job = environment.execute_async("recovery").value();
  ASSERT_TRUE(wait_until([&] { return job.status().phase == JobPhase::kRunning; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  // Before the first report one may have been taken; then there are none, though 10 ms are set.
  EXPECT_LE(job.status().checkpoints_completed, 5);
  const std::int64_t before = job.status().checkpoints_completed;
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_EQ(job.status().checkpoints_completed, before);
  EXPECT_TRUE(answer(job.trigger_checkpoint()).ok());  // on request all the same
  is_backlog.store(false);
  EXPECT_TRUE(wait_until([&] { return job.status().checkpoints_completed > before + 5; }));
  job.cancel();
}

TEST_F(CheckpointSettingsTest, SourcesReadNothingBeforeTheFirstCheckpointWhereSoTold) {
  Configuration settings = without_period();
  settings.set(options::kSourcesPauseUntilFirstCheckpoint, true);
  JobClient job = start(settings);
  ASSERT_TRUE(wait_until([&] { return job.status().phase == JobPhase::kRunning; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_EQ(job.status().records_in, 0);
  ASSERT_TRUE(answer(job.trigger_checkpoint()).ok());
  EXPECT_TRUE(wait_until([&] { return job.status().records_in > 0; }));
  job.cancel();
}

/// One source ends at once, the other runs on.
class PartlyFinished : public CheckpointSettingsTest {
 protected:
  JobClient start_partly(const Configuration& settings) {
    Environment environment(settings);
    SourceSettings small = source_;
    small.count = 10;
    const auto done = environment
                          .from_source<Event>(std::make_shared<RewindingSource>(small),
                                              WatermarkStrategy<Event>::no_watermarks(), "short")
                          .uid("short");
    events(environment)
        .union_with(done)
        .sink_to(std::make_shared<MemorySink<Event>>(std::make_shared<Target<Event>>()))
        .uid("out");
    return environment.execute_async("recovery").value();
  }
};

TEST_F(PartlyFinished, J5_CheckpointsGoOnWhenAPartHasFinished) {
  JobClient job = start_partly(configuration());
  EXPECT_TRUE(wait_until([&] { return job.status().checkpoints_completed > 10; }));
  job.cancel();
}

TEST_F(PartlyFinished, UnlessThatIsSwitchedOff) {
  Configuration settings = configuration();
  settings.set(options::kCheckpointsAfterTasksFinish, false);
  settings.set(options::kCheckpointInterval, DurationMs(1000));
  JobClient job = start_partly(settings);
  ASSERT_TRUE(wait_until([&] { return job.status().records_in >= 210; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(2500));
  EXPECT_LE(job.status().checkpoints_completed, 1);
  EXPECT_EQ(job.status().phase, JobPhase::kRunning);
  job.cancel();
}

TEST_F(CheckpointSettingsTest, C6_ASinkThatTakesNothingShows) {
  source_.count = 1000;
  counts_->refuse(1'000'000);
  JobClient job = start(configuration());
  EXPECT_TRUE(wait_until([&] {
    const JobStatus status = job.status();
    return status.commit_retries >= 4 && status.oldest_commit_age_ms > 500 &&
           status.pending_committables > 0;
  }));
  EXPECT_EQ(job.status().phase, JobPhase::kRunning);
  counts_->refuse(0);
  expect_state(job.wait(), JobState::kFinished);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
  EXPECT_EQ(job.status().pending_committables, 0);
  EXPECT_EQ(job.status().oldest_commit_age_ms, 0);
}

TEST_F(CheckpointSettingsTest, ACommitThatStaysImpossibleFailsTheJobOverAfterItsRetries) {
  source_.count = 1000;
  Configuration settings = configuration();
  settings.set(options::kCommitterRetries, 2);
  counts_->refuse(6);  // of two subtasks: one of them is refused three times
  JobClient job = start(settings);
  expect_state(job.wait(), JobState::kFinished);
  EXPECT_GE(job.wait().value().restarts, 1);
  EXPECT_EQ(counts_->rows(), expected_counts(source_));
}

TEST_F(CheckpointSettingsTest, TheAgeOfTheLastCheckpointIsWatchedWhateverKeepsItFromCompleting) {
  // Nothing fails: checkpoints are simply never due within the limit.
  Configuration settings = configuration(1, 0);
  settings.set(options::kCheckpointInterval, DurationMs(50));
  settings.set(options::kCheckpointTimeout, DurationMs(50));
  settings.set(options::kTolerableFailedCheckpoints, 5);
  Environment environment(settings);
  events(environment)
      .map([](const Event& event) {
        std::this_thread::sleep_for(
            std::chrono::milliseconds(20));  // no barrier gets through in time
        return event;
      })
      .uid("slow")
      .sink_to(std::make_shared<MemorySink<Event>>(std::make_shared<Target<Event>>()))
      .uid("out");
  JobClient job = environment.execute_async("recovery").value();
  ASSERT_TRUE(wait_until([&] { return job.status().last_checkpoint_age_ms > 200; }));
  const auto failed = job.wait();
  ASSERT_FALSE(failed.ok());
  EXPECT_THAT(failed.error().message,
              ::testing::AnyOf(::testing::HasSubstr("no checkpoint was completed for"),
                               ::testing::HasSubstr("CHECKPOINT_EXPIRED")));
}

}  // namespace
}  // namespace weir::recovery
