#include "file/file_sink.h"

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "file/file_sink_test_support.h"
#include "file/part_file.h"
#include "io/faulty_file_system.h"
#include "io/local_file_system.h"

namespace weir::file {
namespace {

using namespace sink_test;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

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

TEST_F(FileSinkTest, C9_AVanishedFileIsLostAndNoPartOfItsEpochAppears) {
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

TEST_F(FileSinkTest, ThePathMayBeAUri) {
  const auto preflight = [](const std::string& path) {
    return FileSink<Row>::for_row_format(path, [](const Row&, std::string&) {})
        .build()
        ->preflight(context_of(1));
  };
  const std::string below = (root_ / "by-uri").string();
  EXPECT_TRUE(preflight("file://" + below + "/").ok());
  EXPECT_TRUE(fs::is_directory(below));
  const Status elsewhere = preflight("s3://bucket/rows");
  ASSERT_FALSE(elsewhere.ok());
  EXPECT_EQ(elsewhere.error().message.substr(0, 40), "file sink: 's3://bucket/rows' is on 's3'");
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
