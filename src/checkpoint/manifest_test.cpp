#include "checkpoint/manifest.h"

#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "checkpoint/base64.h"
#include "checkpoint/manifest_json.h"

namespace weir::checkpoint {
namespace {

FileReference file(const std::string& path) { return {path, path.size(), crc32c(path)}; }

/// One of everything.
Manifest sample() {
  Manifest m;
  m.job_id = "0123456789abcdef0123456789abcdef";
  m.job_name = "clicks";
  m.pipeline_id = "clicks-eu";
  m.checkpoint = 12;
  m.attempt = 3;
  m.incarnation = 77;
  m.lineage = {{5, 3}, {6, 11}};
  m.parent_checkpoint = 11;
  m.is_terminal = true;
  m.triggered_ms = 1000;
  m.completed_ms = 1010;
  SubtaskSnapshot subtask;
  subtask.subtask = 1;
  subtask.watermark_max = 55;
  subtask.key_group_watermarks = {{{64, 99}, 50}, {{100, 127}, kMinTimestamp}};
  subtask.files = {{file("chk-12/a3-c12-00000000000000ff-count"), "heap-base", {64, 127}, "\x01"},
                   {file("shared/a2-c9-0000000000000001-sst"), "sst", {}, ""}};
  subtask.lists = {{"offsets", OperatorStateBackend::Redistribution::kUnion, {"", "ab", "\xff"}}};
  m.operators = {{"count-uid", "count", 2, 128, {{"n", "value", "u64", "i64"}}, {subtask}}};
  m.sources = {{"src-uid",
                "src",
                2,
                "enum\0state",
                {{0, false, {{"topic-0", "17"}}}, {1, true, {{"raw\xff", "9"}}}}}};
  Committable committable{
      {"sink-uid", 3, 11, 2, 6}, "txn", {"taskowned/a2-c11-0000000000000002-log"}};
  m.sinks = {{"sink-uid",
              "sink",
              2,
              {{1, {"w"}}},
              {committable, committable},
              {file("taskowned/a2-c11-0000000000000002-log")}}};
  m.edges = {{"src->count", 5, 0xffffffffffffffffU, 5, 0xffffffffffffffffU}};
  m.in_flight = {{"src->count",
                  0,
                  2,
                  2,
                  "i64",
                  file("chk-12/a3-c12-0000000000000100-under-way"),
                  {{0, 40, false, 16, 3, 2}, {1, kMinTimestamp, true, 0, 0, 0}}},
                 {"src->count", 1, 2, 2, "i64", {}, {{0, 40, false, 0, 0, 0}}}};
  return m;
}

TEST(Manifest, WhatWasEncodedIsDecoded) {
  const std::string bytes = encode_manifest(sample()).value();
  const Manifest m = decode_manifest(bytes).value();
  EXPECT_EQ(m.operators, sample().operators);
  EXPECT_EQ(m.edges, sample().edges);
  EXPECT_EQ(m.in_flight, sample().in_flight);
  EXPECT_EQ(m.incarnation, 77);
  EXPECT_EQ(m.lineage, sample().lineage);
  EXPECT_EQ(m.sinks[0].committables[0].id.incarnation, 6);
  EXPECT_EQ(m.sinks[0].committables.size(), 2U);
  EXPECT_EQ(m.sinks[0].committables[1].files, sample().sinks[0].committables[1].files);
  EXPECT_EQ(m.sources[0].readers[1].splits[0].id, "raw\xff");
  EXPECT_EQ(encode_manifest(m).value(), bytes) << "equal manifests have equal bytes";
}

TEST(Manifest, TheWorkedExampleOfTheFormatPageIsWhatIsWritten) {
  Manifest m;
  m.job_id = "0123456789abcdef0123456789abcdef";
  m.job_name = m.pipeline_id = "clicks";
  m.checkpoint = 7;
  m.attempt = 2;
  m.parent_checkpoint = 6;
  m.triggered_ms = 1000;
  m.completed_ms = 1004;
  m.sources = {{"src", "numbers", 1, "", {{0, false, {{"split-0", "*"}}}}}};
  const std::string bytes = encode_manifest(m).value();
  const unsigned char header[] = {0x57, 0x45, 0x49, 0x52, 0x43, 0x4b, 0x50, 0x54, 0x01, 0x00,
                                  0x00, 0x00, 0xea, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                                  0x5d, 0xdd, 0x70, 0x35, 0x73, 0xc0, 0x83, 0x1c};
  EXPECT_EQ(bytes.substr(0, 28), std::string(reinterpret_cast<const char*>(header), 28));
  EXPECT_EQ(bytes.size(), 518U);
  EXPECT_NE(bytes.find("\"splits\":[{\"id\":\"split-0\",\"state\":\"Kg==\"}]"), std::string::npos);
}

TEST(Manifest, AnEmptyOneIsFine) {
  Manifest m;
  m.job_id = sample().job_id;
  m.checkpoint = 1;
  m.attempt = 1;
  EXPECT_TRUE(decode_manifest(encode_manifest(m).value()).ok());
}

TEST(Manifest, EveryBitFlipIsRefused) {
  const std::string good = encode_manifest(sample()).value();
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    ASSERT_FALSE(decode_manifest(bad).ok()) << "bit " << bit;
  }
}

TEST(Manifest, EveryTruncationAndExtensionIsRefused) {
  const std::string good = encode_manifest(sample()).value();
  for (std::size_t length = 0; length < good.size(); ++length) {
    ASSERT_FALSE(decode_manifest(good.substr(0, length)).ok()) << "length " << length;
  }
  EXPECT_FALSE(decode_manifest(good + "x").ok());
}

/// Wraps a body with valid checksums, as an attacker would.
std::string wrap(const std::string& body, std::uint32_t version = 1, std::uint64_t length_off = 0) {
  std::string out = "WEIRCKPT";
  const auto put = [&](auto value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
  };
  put(version);
  put(static_cast<std::uint64_t>(body.size()) + length_off);
  put(crc32c(body));
  put(crc32c(out));
  return out + body;
}

TEST(Manifest, ANewerVersionIsRefusedInOneLineThatNamesIt) {
  const auto result = decode_manifest(wrap("{}", 2));
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(result.error().message.find("version 2"), std::string::npos);
  EXPECT_EQ(result.error().message.find('\n'), std::string::npos);
}

TEST(Manifest, HostileLengthsAllocateNothing) {
  EXPECT_FALSE(decode_manifest(wrap("{}", 1, std::uint64_t{1} << 60)).ok());
  EXPECT_FALSE(decode_manifest(wrap("{}", 1, ~std::uint64_t{0} - 1)).ok());
}

TEST(Manifest, HostileBodiesWithGoodChecksumsAreRefused) {
  const std::string body = manifest_to_json(sample());
  const std::vector<std::pair<std::string, std::string>> edits{
      {"\"attempt\":3", "\"attempt\":-3"},
      {"\"attempt\":3", "\"attempt\":3.5"},
      {"\"attempt\":3", "\"attempt\":99999999999999999999"},
      {"\"attempt\":3", "\"attempt\":\"3\""},
      {"\"attempt\":3", "\"attempt\":3,\"extra\":1"},
      {"\"checkpoint\":12", "\"checkpoint\":0"},
      {"\"checkpoint\":11,\"incarnation\":6}]", "\"checkpoint\":12,\"incarnation\":6}]"},
      {"\"kind\":\"checkpoint\"", "\"kind\":\"other\""},
      {"\"max_parallelism\":128,\"operators\"", "\"max_parallelism\":40000,\"operators\""},
      {"chk-12/a3", "/etc/a3"},
      {"chk-12/a3", "chk-12/../../a3"},
      {"chk-12/a3", "chk-12//a3"},
      {"chk-12/a3", "chk-12\\\\a3"},
      {"\"crc32c\":", "\"crc\":"},
      {"\"union\"", "\"unions\""},
      {"\"last_key_group\":127", "\"last_key_group\":128"},
      {"\"parallelism\":2", "\"parallelism\":1000000000"},
      {"\"sender_count\":5", "\"sender_count\":6"},
      {"\"is_terminal\":true", "\"is_terminal\":1"},
      {"topic-0", "raw"},  // still fine: only the shape of an id is free
  };
  for (const auto& [from, to] : edits) {
    std::string edited = body;
    const std::size_t at = edited.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    edited.replace(at, from.size(), to);
    EXPECT_EQ(decode_manifest(wrap(edited)).ok(), from == "topic-0") << to;
  }
  for (const std::string& bad : {std::string(), std::string("null"), std::string("[]"),
                                 std::string("{}"), std::string(100'000, '['), body + "{}"}) {
    EXPECT_FALSE(decode_manifest(wrap(bad)).ok());
  }
}

TEST(Manifest, RulesOfContent) {
  using Edit = std::function<void(Manifest&)>;
  const std::vector<Edit> edits{
      [](Manifest& m) { m.job_id = "../../etc"; },
      [](Manifest& m) { m.parent_checkpoint = 12; },
      [](Manifest& m) { m.operators.push_back(m.operators[0]); },
      [](Manifest& m) { m.operators[0].subtasks.push_back(m.operators[0].subtasks[0]); },
      [](Manifest& m) { m.operators[0].subtasks[0].subtask = 2; },
      [](Manifest& m) { m.operators[0].parallelism = 129; },
      [](Manifest& m) { m.operators[0].subtasks[0].files[1].file.path = "a/./b"; },
      [](Manifest& m) { m.operators[0].subtasks[0].key_group_watermarks[1].key_groups.first = 99; },
      [](Manifest& m) {
        m.operators[0].subtasks[0].files.push_back(m.operators[0].subtasks[0].files[0]);
        m.operators[0].subtasks[0].files.back().file.length_bytes += 1;
      },
      [](Manifest& m) { m.sources[0].readers[1].splits = m.sources[0].readers[0].splits; },
      [](Manifest& m) { m.sinks[0].files.clear(); },
      [](Manifest& m) { m.sinks[0].committables[0].id.checkpoint = 13; },
      [](Manifest& m) { m.sinks[0].committables[0].id.attempt = 4; },
      [](Manifest& m) { m.sinks[0].committables[0].id.sink_uid = "other"; },
      [](Manifest& m) { m.edges[0].receiver_hash = 1; },
      [](Manifest& m) { m.edges.push_back(m.edges[0]); },
      [](Manifest& m) { m.in_flight.push_back(m.in_flight[0]); },
      [](Manifest& m) { m.in_flight[0].subtask = 2; },
      [](Manifest& m) { m.in_flight[0].file.path.clear(); },
      [](Manifest& m) { m.in_flight[0].file.path = "/etc/passwd"; },
  };
  for (std::size_t i = 0; i < edits.size(); ++i) {
    Manifest m = sample();
    edits[i](m);
    EXPECT_FALSE(encode_manifest(m).ok()) << "edit " << i;
  }
}

TEST(Manifest, FilesAreListedOnceWithTheirTotal) {
  Manifest m = sample();
  m.operators[0].subtasks[0].files.push_back(m.operators[0].subtasks[0].files[1]);
  EXPECT_EQ(files_of(m).size(), 4U);
  std::uint64_t total = 0;
  for (const FileReference& reference : files_of(m)) {
    total += reference.length_bytes;
  }
  EXPECT_EQ(state_size_bytes(m), total);
}

TEST(Base64, RoundTripsAndRefusesOtherSpellings) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(base64_decode(base64_encode(bytes)), bytes);
    bytes += static_cast<char>(i * 7);
  }
  EXPECT_EQ(base64_encode("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64_encode("fo"), "Zm8=");
  for (const char* bad : {"A", "AA", "AA=", "A===", "====", "AB==", "AAB=", "AA==AAAA",
                          "A A=", "AAA=AAA=", "\n\n\n\n"}) {
    EXPECT_FALSE(base64_decode(bad).has_value()) << bad;
  }
}

}  // namespace
}  // namespace weir::checkpoint
