// Kills a file sink at every step of its protocol and counts the lines that readers see.

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "file/file_sink.h"
#include "file/file_sink_test_support.h"
#include "io/faulty_file_system.h"
#include "io/local_file_system.h"

namespace weir::file {
namespace {

using namespace sink_test;
using testing::ElementsAre;
using testing::IsEmpty;

using FileSinkCrashTest = FileSinkTest;

/// A job of one subtask that reads the numbers 0..29 and takes a checkpoint after every 10. It dies
/// at one of its steps and starts again from its last durable checkpoint.
class CrashingJob {
 public:
  CrashingJob(Sink& sink, int crash_at) : sink_(sink), steps_left_(crash_at) {}

  /// True when the crash point was reached.
  bool run() {
    bool has_crashed = false;
    while (!attempt()) {
      has_crashed = true;
      ++attempt_;
    }
    return has_crashed;
  }

 private:
  /// False = dies here.
  bool step() { return steps_left_-- != 0; }

  bool commit_all() {
    auto committer = sink_.create_committer(context_of(attempt_)).value();
    if (committer == nullptr) {
      return true;
    }
    for (const Committable& committable : durable_committables_) {
      const auto result = committer->commit(committable);
      if (!result.ok()) {
        return false;  // injected: the process dies in the middle of a commit
      }
      EXPECT_NE(result.value().outcome, CommitOutcome::kLost) << result.value().detail;
      if (!step()) {
        return false;
      }
    }
    if (!has_aborted_orphans_) {
      EXPECT_TRUE(committer->abort_orphans({}, durable_committables_).ok());
      has_aborted_orphans_ = true;
    }
    return true;
  }

  bool attempt() {
    has_aborted_orphans_ = false;
    if (!step() || !commit_all() || !step()) {
      return false;
    }
    Writer writer(sink_, attempt_);
    for (int position = durable_position_; position < 30;) {
      for (int end = position + 10; position < end; position += 5) {
        EXPECT_TRUE(writer.writer
                        ->write(*batch_of(
                            {position, position + 1, position + 2, position + 3, position + 4}))
                        .ok());
        if (!step()) {
          return false;
        }
      }
      const CheckpointId checkpoint = next_checkpoint_++;
      if (!writer.writer->begin_prepare(checkpoint).ok() || !step()) {
        return false;
      }
      writer.run_jobs();
      if (!step()) {
        return false;
      }
      auto prepared = writer.writer->poll_prepared(checkpoint);
      EXPECT_TRUE(prepared.ok() && prepared.value().has_value());
      if (!step()) {
        return false;
      }
      durable_position_ = position;
      durable_committables_ = *prepared.value();
      if (!step() || !commit_all()) {
        return false;
      }
    }
    writer.writer->close();
    return true;
  }

  Sink& sink_;
  int steps_left_;
  AttemptId attempt_ = 1;
  CheckpointId next_checkpoint_ = 1;
  int durable_position_ = 0;
  std::vector<Committable> durable_committables_;
  bool has_aborted_orphans_ = false;
};

std::map<std::string, int> counts(const std::vector<std::string>& lines) {
  std::map<std::string, int> result;
  for (const std::string& line : lines) {
    ++result[line];
  }
  return result;
}

TEST_F(FileSinkCrashTest, ACrashAtAnyStepLosesAndDoublesNothing) {
  int crash_at = 0;
  for (bool is_reached = true; is_reached; ++crash_at) {
    fs::remove_all(root_);
    const auto sink =
        builder()
            .with_bucket([](const Row& row) { return row.number % 3 == 0 ? "three" : ""; })
            .with_max_part_size(6)
            .build();
    ASSERT_TRUE(sink->preflight(context_of(1)).ok());
    is_reached = CrashingJob(*sink, crash_at).run();
    const auto lines = counts(visible_lines());
    EXPECT_EQ(lines.size(), 30U) << "crash at step " << crash_at;
    EXPECT_TRUE(std::all_of(lines.begin(), lines.end(), [](auto& l) { return l.second == 1; }))
        << "crash at step " << crash_at;
    EXPECT_THAT(files(true), IsEmpty()) << "crash at step " << crash_at;
  }
  EXPECT_GT(crash_at, 20);
}

TEST_F(FileSinkCrashTest, ACrashInTheMiddleOfACommitLosesAndDoublesNothing) {
  for (const FileOperation operation : {FileOperation::kRename, FileOperation::kDirectory}) {
    for (int passes = 0; passes < 12; ++passes) {
      fs::remove_all(root_);
      FaultyFileSystem faulty(local_file_system());
      const auto sink =
          builder()
              .with_bucket([](const Row& row) { return std::to_string(row.number % 4); })
              .with_file_system(faulty)
              .build();
      ASSERT_TRUE(sink->preflight(context_of(1)).ok());
      if (operation == FileOperation::kRename) {
        faulty.plan({.operation = operation, .passes_before = passes});
        EXPECT_TRUE(CrashingJob(*sink, -1).run()) << passes;
      } else {
        // Syncs of the commit only: those of the writer would fail the epoch.
        Writer writer(*sink, 1);
        ASSERT_TRUE(writer.writer->write(*batch_of({0, 1, 2, 3})).ok());
        const auto committable = writer.prepare(1)[0];
        faulty.plan({.operation = operation, .passes_before = passes % 4});
        EXPECT_FALSE(sink->create_committer(context_of(1)).value()->commit(committable).ok());
        EXPECT_EQ(commit(*sink, committable, 2), CommitOutcome::kAlreadyCommitted);
        EXPECT_THAT(visible_lines(), ElementsAre("0", "1", "2", "3"));
        continue;
      }
      const auto lines = counts(visible_lines());
      EXPECT_EQ(lines.size(), 30U);
      EXPECT_TRUE(std::all_of(lines.begin(), lines.end(), [](auto& l) { return l.second == 1; }));
      EXPECT_THAT(files(true), IsEmpty());
    }
  }
}

TEST_F(FileSinkCrashTest, AtLeastOnceShowsRecordsAtTheBarrierAndDoublesThemOnReplay) {
  bool has_doubled = false;
  for (int crash_at = 0; crash_at < 20; ++crash_at) {
    fs::remove_all(root_);
    const auto sink = builder().with_delivery_guarantee(DeliveryGuarantee::kAtLeastOnce).build();
    ASSERT_TRUE(sink->preflight(context_of(1)).ok());
    EXPECT_EQ(sink->create_committer(context_of(1)).value(), nullptr);
    CrashingJob(*sink, crash_at).run();
    const auto lines = counts(visible_lines());
    EXPECT_EQ(lines.size(), 30U) << "crash at step " << crash_at;
    has_doubled = has_doubled ||
                  std::any_of(lines.begin(), lines.end(), [](auto& l) { return l.second > 1; });
    EXPECT_THAT(files(true), IsEmpty()) << "crash at step " << crash_at;
  }
  EXPECT_TRUE(has_doubled);
}
}  // namespace
}  // namespace weir::file
