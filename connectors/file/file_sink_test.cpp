#include "file/file_sink.h"

#include <algorithm>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "file/part_file.h"
#include "io/faulty_file_system.h"
#include "io/local_file_system.h"

namespace weir::file {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

struct Row {
  int number = 0;
};

/// A directory of its own for each test, with what readers of the output do.
class FileSinkTest : public testing::Test {
 protected:
  FileSinkTest() {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    root_ = fs::path(testing::TempDir()) /
            ("weir-file-sink-" + std::to_string(::getpid()) + "-" + info->name());
    fs::remove_all(root_);
  }
  ~FileSinkTest() override { fs::remove_all(root_); }

  std::string out() const { return (root_ / "out").string(); }

  std::vector<std::string> files(bool is_hidden) const {
    std::vector<std::string> names;
    if (fs::exists(out())) {
      for (const auto& entry : fs::recursive_directory_iterator(out())) {
        const std::string name = entry.path().filename();
        if (entry.is_regular_file() && (name.front() == '.') == is_hidden) {
          names.push_back(fs::relative(entry.path(), out()));
        }
      }
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  /// All lines of `part-*`, sorted.
  std::vector<std::string> visible_lines() const {
    std::vector<std::string> lines;
    for (const std::string& name : files(false)) {
      std::ifstream file(fs::path(out()) / name);
      for (std::string line; std::getline(file, line);) {
        lines.push_back(line);
      }
    }
    std::sort(lines.begin(), lines.end());
    return lines;
  }

  FileSink<Row>::Builder builder() const {
    return FileSink<Row>::for_row_format(
        out(), [](const Row& row, std::string& text) { text += std::to_string(row.number); });
  }

  fs::path root_;
};

SinkContext context_of(AttemptId attempt) {
  SinkContext context;
  context.pipeline_id = "pipeline";
  context.sink_uid = "out";
  context.attempt = attempt;
  context.is_checkpointing_enabled = true;
  return context;
}

BatchPtr batch_of(const std::vector<int>& numbers) {
  BatchPtr batch = Batch::make(type_ops<Row>(), std::max<std::size_t>(numbers.size(), 1));
  for (const int number : numbers) {
    batch->push_back(Row{number}, kMinTimestamp);
  }
  return batch;
}

/// A writer whose blocking work runs when the test says so.
struct Writer {
  Writer(Sink& sink, AttemptId attempt, int subtask = 0) {
    SinkWriterContext context;
    context.sink = context_of(attempt);
    context.subtask.subtask = subtask;
    context.run_blocking = [queue = jobs](std::function<void()> job) {
      queue->push_back(std::move(job));
    };
    context.wake = [this] { ++wakes; };
    auto created = sink.create_writer(std::move(context), {});
    EXPECT_TRUE(created.ok()) << created.status().error().message;
    writer = std::move(created).value();
  }
  void run_jobs() {
    while (!jobs->empty()) {
      auto job = std::move(jobs->front());
      jobs->pop_front();
      job();
    }
  }
  std::vector<Committable> prepare(CheckpointId checkpoint) {
    EXPECT_TRUE(writer->begin_prepare(checkpoint).ok());
    run_jobs();
    auto prepared = writer->poll_prepared(checkpoint);
    EXPECT_TRUE(prepared.ok() && prepared.value().has_value());
    return *prepared.value();
  }

  std::shared_ptr<std::deque<std::function<void()>>> jobs =
      std::make_shared<std::deque<std::function<void()>>>();
  int wakes = 0;
  std::unique_ptr<SinkWriter> writer;
};

CommitOutcome commit(Sink& sink, const Committable& committable, AttemptId attempt) {
  auto committer = sink.create_committer(context_of(attempt)).value();
  auto result = committer->commit(committable);
  EXPECT_TRUE(result.ok()) << result.status().error().message;
  return result.ok() ? result.value().outcome : CommitOutcome::kRetry;
}

TEST_F(FileSinkTest, NothingIsVisibleBeforeTheCommit) {
  const auto sink = builder().with_prefix_suffix("part", ".txt").build();
  ASSERT_TRUE(sink->preflight(context_of(1)).ok());
  Writer writer(*sink, 1);
  ASSERT_TRUE(writer.writer->write(*batch_of({1, 2})).ok());
  EXPECT_THAT(files(false), IsEmpty());
  const auto committables = writer.prepare(7);
  ASSERT_THAT(committables, SizeIs(1));
  EXPECT_EQ(committables[0].id.checkpoint, 7);
  EXPECT_THAT(files(false), IsEmpty());
  EXPECT_THAT(files(true), SizeIs(1));
  EXPECT_EQ(commit(*sink, committables[0], 1), CommitOutcome::kCommitted);
  EXPECT_THAT(visible_lines(), ElementsAre("1", "2"));
  EXPECT_THAT(files(false), ElementsAre("part-" + sink_tag("pipeline", "out") + "-0-7-0.txt"));
  EXPECT_THAT(files(true), IsEmpty());
}

TEST_F(FileSinkTest, PrepareWaitsForTheSyncAndWakesTheTask) {
  const auto sink = builder().build();
  Writer writer(*sink, 1);
  ASSERT_TRUE(writer.writer->write(*batch_of({1})).ok());
  ASSERT_TRUE(writer.writer->begin_prepare(1).ok());
  EXPECT_FALSE(writer.writer->poll_prepared(1).value().has_value());
  // Records of the next epoch arrive meanwhile and do not get into this one.
  ASSERT_TRUE(writer.writer->write(*batch_of({2})).ok());
  writer.run_jobs();
  EXPECT_EQ(writer.wakes, 1);
  const auto first = *writer.writer->poll_prepared(1).value();
  EXPECT_EQ(commit(*sink, first[0], 1), CommitOutcome::kCommitted);
  EXPECT_THAT(visible_lines(), ElementsAre("1"));
  EXPECT_EQ(commit(*sink, writer.prepare(2)[0], 1), CommitOutcome::kCommitted);
  EXPECT_THAT(visible_lines(), ElementsAre("1", "2"));
}

TEST_F(FileSinkTest, AnEmptyEpochHasNoCommittable) {
  const auto sink = builder().build();
  Writer writer(*sink, 1);
  EXPECT_THAT(writer.prepare(1), IsEmpty());
  EXPECT_THAT(files(true), IsEmpty());
}

TEST_F(FileSinkTest, ACommitMayBeRepeatedAndProvesItself) {
  const auto sink = builder().build();
  Writer writer(*sink, 1);
  ASSERT_TRUE(writer.writer->write(*batch_of({1})).ok());
  const Committable committable = writer.prepare(1)[0];
  EXPECT_EQ(commit(*sink, committable, 1), CommitOutcome::kCommitted);
  EXPECT_EQ(commit(*sink, committable, 1), CommitOutcome::kAlreadyCommitted);
  EXPECT_EQ(commit(*sink, committable, 2), CommitOutcome::kAlreadyCommitted);
  EXPECT_THAT(visible_lines(), ElementsAre("1"));
}

TEST_F(FileSinkTest, AForeignFileUnderTheFinalNameStopsTheCommit) {
  const auto sink = builder().build();
  Writer writer(*sink, 1);
  ASSERT_TRUE(writer.writer->write(*batch_of({1})).ok());
  const Committable committable = writer.prepare(1)[0];
  const std::string name =
      decode_prepared(committable.payload, sink_tag("pipeline", "out")).value().files[0].final_name;
  for (const std::string content : {"longer than that", "2\n"}) {
    std::ofstream(fs::path(out()) / name) << content;
    const auto result = sink->create_committer(context_of(1)).value()->commit(committable);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::kCorruption);
  }
  EXPECT_THAT(files(true), SizeIs(1));  // what was prepared is kept
}

TEST_F(FileSinkTest, AVanishedFileIsLostAndNoPartOfItsEpochAppears) {
  const auto sink =
      builder().with_bucket([](const Row& row) { return std::to_string(row.number); }).build();
  Writer writer(*sink, 1);
  ASSERT_TRUE(writer.writer->write(*batch_of({1, 2})).ok());
  const Committable committable = writer.prepare(1)[0];
  fs::remove(fs::path(out()) / files(true)[1]);
  EXPECT_EQ(commit(*sink, committable, 2), CommitOutcome::kLost);
  EXPECT_THAT(files(false), IsEmpty());
}

TEST_F(FileSinkTest, AnotherBaseDirectoryIsNotTakenForALoss) {
  const auto sink = builder().build();
  Writer writer(*sink, 1);
  ASSERT_TRUE(writer.writer->write(*batch_of({1})).ok());
  const Committable committable = writer.prepare(1)[0];
  const auto moved = FileSink<std::string>::for_row_format(out() + "-moved").build();
  ASSERT_TRUE(moved->preflight(context_of(2)).ok());
  const auto result = moved->create_committer(context_of(2)).value()->commit(committable);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kUnknownOutcome);
}

TEST_F(FileSinkTest, ADamagedPreparedFileIsRefusedAfterARestart) {
  const auto sink = builder().build();
  Writer writer(*sink, 1);
  ASSERT_TRUE(writer.writer->write(*batch_of({1})).ok());
  const Committable committable = writer.prepare(1)[0];
  std::ofstream(fs::path(out()) / files(true)[0]) << "9\n";  // same length
  const auto result = sink->create_committer(context_of(2)).value()->commit(committable);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kCorruption);
  EXPECT_THAT(files(false), IsEmpty());
}

TEST_F(FileSinkTest, AHostileCommittableCannotLeaveTheBaseDirectory) {
  const auto sink = builder().build();
  const std::string tag = sink_tag("pipeline", "out");
  const HiddenName hidden{"part", tag, 0, 1, make_unique_part()};
  const PartFile good{"", format_hidden_name(hidden), "part-" + tag + "-0-1-0", 2, 0};
  const auto refuses = [&](const PartFile& file) {
    Committable committable;
    committable.payload = encode_prepared({out(), {file}});
    return !sink->create_committer(context_of(1)).value()->commit(committable).ok();
  };
  EXPECT_FALSE(refuses(good));
  for (const std::string bucket : {"..", "/etc", "a/../b", "a//b", "a/", ".hidden"}) {
    PartFile bad = good;
    bad.bucket = bucket;
    EXPECT_TRUE(refuses(bad)) << bucket;
  }
  PartFile bad = good;
  bad.final_name = "../part-" + tag + "-0-1-0";
  EXPECT_TRUE(refuses(bad));
  bad = good;
  bad.hidden_name = "passwd";
  EXPECT_TRUE(refuses(bad));
  Committable cut;
  cut.payload = encode_prepared({out(), {good}});
  cut.payload.pop_back();
  EXPECT_FALSE(sink->create_committer(context_of(1)).value()->commit(cut).ok());
}

TEST_F(FileSinkTest, BucketsAreDirectories) {
  const auto sink = builder()
                        .with_bucket([](const Row& row) {
                          return row.number % 2 == 0 ? "kind=even/x" : "kind=odd";
                        })
                        .build();
  Writer writer(*sink, 1);
  ASSERT_TRUE(writer.writer->write(*batch_of({1, 3, 2, 5})).ok());
  commit(*sink, writer.prepare(1)[0], 1);
  EXPECT_THAT(files(false),
              ElementsAre(HasSubstr("kind=even/x/part-"), HasSubstr("kind=odd/part-")));
  EXPECT_THAT(visible_lines(), ElementsAre("1", "2", "3", "5"));
}

TEST_F(FileSinkTest, ABucketThatLeadsOutsideFailsTheWriterForGood) {
  const auto sink = builder().with_bucket([](const Row&) { return "../up"; }).build();
  Writer writer(*sink, 1);
  const Status status = writer.writer->write(*batch_of({1}));
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kUser);
  EXPECT_FALSE(writer.writer->poll().ok());
  EXPECT_FALSE(writer.writer->begin_prepare(1).ok());
}

TEST_F(FileSinkTest, ManyBucketsKeepFewFilesOpen) {
  const auto sink =
      builder().with_bucket([](const Row& row) { return std::to_string(row.number); }).build();
  Writer writer(*sink, 1);
  std::vector<int> numbers(100);
  for (int i = 0; i < 100; ++i) {
    numbers[static_cast<std::size_t>(i)] = i;
  }
  ASSERT_TRUE(writer.writer->write(*batch_of(numbers)).ok());
  EXPECT_FALSE(writer.writer->can_write());  // the disk is behind
  writer.run_jobs();
  EXPECT_TRUE(writer.writer->can_write());
  commit(*sink, writer.prepare(1)[0], 1);
  EXPECT_THAT(visible_lines(), SizeIs(100));
}

TEST_F(FileSinkTest, APartThatIsFullIsFollowedByAnotherOfTheSameEpoch) {
  const auto sink = builder().with_max_part_size(4).build();
  Writer writer(*sink, 1);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(writer.writer->write(*batch_of({i})).ok());
  }
  const auto committables = writer.prepare(3);
  ASSERT_THAT(committables, SizeIs(1));
  EXPECT_THAT(files(false), IsEmpty());
  commit(*sink, committables[0], 1);
  const std::string stem = "part-" + sink_tag("pipeline", "out") + "-0-3-";
  EXPECT_THAT(files(false), ElementsAre(stem + "0", stem + "1", stem + "2"));
  EXPECT_THAT(visible_lines(), ElementsAre("0", "1", "2", "3", "4"));
}

TEST_F(FileSinkTest, RowsEndInOneLineEndWhoeverWritesIt) {
  const auto sink = FileSink<Row>::for_row_format(out(), [](const Row& row, std::string& text) {
                      text += row.number == 1 ? "one\n" : (row.number == 2 ? "two" : "");
                    }).build();
  Writer writer(*sink, 1);
  ASSERT_TRUE(writer.writer->write(*batch_of({1, 2, 3, 1})).ok());
  commit(*sink, writer.prepare(1)[0], 1);
  EXPECT_THAT(visible_lines(), ElementsAre("", "one", "one", "two"));
}

TEST_F(FileSinkTest, AFullDiskFailsTheEpochAndEveryLaterCall) {
  FaultyFileSystem faulty(local_file_system());
  const auto sink = builder().with_file_system(faulty).build();
  Writer writer(*sink, 1);
  ASSERT_TRUE(writer.writer->write(*batch_of({1})).ok());
  faulty.plan({.operation = FileOperation::kSync, .code = ErrorCode::kNoSpace});
  ASSERT_TRUE(writer.writer->begin_prepare(1).ok());
  writer.run_jobs();
  const auto prepared = writer.writer->poll_prepared(1);
  ASSERT_FALSE(prepared.ok());
  EXPECT_EQ(prepared.error().code, ErrorCode::kNoSpace);
  EXPECT_EQ(writer.writer->write(*batch_of({2})).error().code, ErrorCode::kNoSpace);
  EXPECT_EQ(writer.writer->poll().error().code, ErrorCode::kNoSpace);
  EXPECT_FALSE(writer.writer->begin_prepare(2).ok());
}

TEST_F(FileSinkTest, WorkThatOutlivesTheWriterIsHarmless) {
  const auto sink = builder().build();
  auto writer = std::make_unique<Writer>(*sink, 1);
  const auto jobs = writer->jobs;
  ASSERT_TRUE(writer->writer->write(*batch_of({1})).ok());
  ASSERT_TRUE(writer->writer->begin_prepare(1).ok());
  writer.reset();
  jobs->front()();
}

TEST_F(FileSinkTest, CloseRemovesWhatWasNotPrepared) {
  const auto sink = builder().build();
  Writer writer(*sink, 1);
  ASSERT_TRUE(writer.writer->write(*batch_of({1})).ok());
  (void)writer.prepare(1);
  ASSERT_TRUE(writer.writer->write(*batch_of({2})).ok());
  EXPECT_THAT(files(true), SizeIs(2));
  writer.writer->close();
  EXPECT_THAT(files(true), SizeIs(1));
}

TEST_F(FileSinkTest, OrphansOfThisSinkOnlyAreRemoved) {
  const auto sink = builder().build();
  Committable named;
  {
    Writer writer(*sink, 1, 3);
    ASSERT_TRUE(writer.writer->write(*batch_of({1})).ok());
    named = writer.prepare(1)[0];
    ASSERT_TRUE(writer.writer->write(*batch_of({2})).ok());
  }
  const std::string foreign =
      format_hidden_name({"part", sink_tag("pipeline", "other"), 0, 1, make_unique_part()});
  const std::string own =
      format_hidden_name({"part", sink_tag("pipeline", "out"), 0, 2, make_unique_part()});
  for (const std::string& name : {foreign, own, std::string(".part-mine.inprogress")}) {
    std::ofstream(fs::path(out()) / name) << "x";
  }
  ASSERT_TRUE(sink->create_committer(context_of(2)).value()->abort_orphans({}, {named}).ok());
  const auto left = files(true);
  EXPECT_THAT(left, SizeIs(4));  // the named one, the two of others, the one of this attempt
  EXPECT_THAT(left, testing::IsSupersetOf({foreign, own, std::string(".part-mine.inprogress")}));
  EXPECT_EQ(commit(*sink, named, 2), CommitOutcome::kCommitted);
}

TEST_F(FileSinkTest, SettingsThatWouldHideResultsAreRefused) {
  EXPECT_FALSE(builder().with_prefix_suffix("", "").build()->preflight(context_of(1)).ok());
  EXPECT_FALSE(builder().with_prefix_suffix(".part", "").build()->preflight(context_of(1)).ok());
  EXPECT_FALSE(builder().with_prefix_suffix("a/b", "").build()->preflight(context_of(1)).ok());
  EXPECT_FALSE(builder().with_max_part_size(0).build()->preflight(context_of(1)).ok());
  EXPECT_FALSE(builder()
                   .with_delivery_guarantee(DeliveryGuarantee::kNone)
                   .build()
                   ->preflight(context_of(1))
                   .ok());
  EXPECT_FALSE(FileSink<Row>::for_row_format("/proc/none", [](const Row&, std::string&) {})
                   .build()
                   ->preflight(context_of(1))
                   .ok());
}

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

TEST_F(FileSinkTest, ACrashAtAnyStepLosesAndDoublesNothing) {
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

TEST_F(FileSinkTest, ACrashInTheMiddleOfACommitLosesAndDoublesNothing) {
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

TEST_F(FileSinkTest, AtLeastOnceShowsRecordsAtTheBarrierAndDoublesThemOnReplay) {
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

TEST(FileNames, HiddenNamesReadBackAlsoWithDashesInThePrefix) {
  const HiddenName name{"a-b-1", sink_tag("p", "s"), 12, 345, make_unique_part()};
  const auto parsed = parse_hidden_name(format_hidden_name(name));
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->prefix, name.prefix);
  EXPECT_EQ(parsed->tag, name.tag);
  EXPECT_EQ(parsed->subtask, 12);
  EXPECT_EQ(parsed->attempt, 345);
  EXPECT_EQ(parsed->unique, name.unique);
  for (const std::string_view bad :
       {"", ".", ".inprogress", ".part.inprogress", "part-0-0-0-0.inprogress",
        ".part-00000000000g-0-1-00000000000000000000000000000000.inprogress"}) {
    EXPECT_FALSE(parse_hidden_name(bad).has_value()) << bad;
  }
}

TEST(FileNames, TagsTellSinksApart) {
  EXPECT_NE(sink_tag("p", "out"), sink_tag("p", "out2"));
  EXPECT_NE(sink_tag("ab", "c"), sink_tag("a", "bc"));
  EXPECT_EQ(sink_tag("p", "out"), sink_tag("p", "out"));
}

}  // namespace
}  // namespace weir::file
