#include "runtime/control_protocol.h"

#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace weir::runtime {
namespace {

using Kind = ControlRequest::Kind;

TEST(ControlProtocol, RequestsComeBackAsTheyWereSent) {
  for (const Kind kind : {Kind::kStatus, Kind::kTriggerCheckpoint, Kind::kTriggerSavepoint,
                          Kind::kStopWithSavepoint, Kind::kCancel}) {
    ControlRequest request;
    request.kind = kind;
    request.id = "\"seven\"";
    if (kind == Kind::kTriggerSavepoint || kind == Kind::kStopWithSavepoint) {
      request.directory = "/with \"quotes\"\nand lines";
    }
    request.is_drain = kind == Kind::kStopWithSavepoint;
    const std::string line = encode_request(request);
    EXPECT_EQ(line.find('\n'), std::string::npos) << line;
    const auto decoded = decode_request(line);
    ASSERT_TRUE(decoded.ok()) << decoded.error().message;
    EXPECT_EQ(decoded.value().kind, kind);
    EXPECT_EQ(decoded.value().id, request.id);
    EXPECT_EQ(decoded.value().directory, request.directory);
    EXPECT_EQ(decoded.value().is_drain, request.is_drain);
  }
}

TEST(ControlProtocol, HostileLinesAreRefusedInWords) {
  const std::pair<std::string, std::string> lines[] = {
      {"", "JSON object"},
      {"status", "JSON object"},
      {"[]", "JSON object"},
      {std::string(60'000, '['), "JSON object"},
      {"\xff\xfe{}", "JSON object"},
      {"{}", "version"},
      {R"({"version":"1","request":"status"})", "version"},
      {R"({"version":2,"request":"status"})", "version 2 is not spoken"},
      {R"({"version":1})", "must be one of status, trigger-checkpoint"},
      {R"({"version":1,"request":"Status"})", "must be one of"},
      {R"({"version":1,"request":["status"]})", "must be one of"},
      {R"({"version":1,"request":"stop-with-savepoint","drian":true})", "'drian' is no member"},
      {R"({"version":1,"request":"stop-with-savepoint","drain":1})", "true or false"},
      {R"({"version":1,"request":"cancel","drain":true})", "'drain' is no member"},
      {R"({"version":1,"request":"trigger-savepoint","directory":7})", "must be a text"},
      {R"({"version":1,"request":"trigger-savepoint","directory":"here"})", "absolute path"},
      {R"({"version":1,"request":"status","id":{}})", "'id' must be"},
  };
  for (const auto& [line, reason] : lines) {
    const auto request = decode_request(line);
    ASSERT_FALSE(request.ok()) << line;
    EXPECT_EQ(request.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(request.error().message.find(reason), std::string::npos) << request.error().message;
  }
}

TEST(ControlProtocol, AnswersCarryTheIdOfTheRequestAlsoOfAWrongOne) {
  const std::string line = R"({"version":9,"id":42,"request":"x"})";
  const auto answer =
      nlohmann::json::parse(encode_answer(id_of_request(line), decode_request(line).error()));
  EXPECT_EQ(answer.at("id"), 42);
  EXPECT_EQ(answer.at("ok"), false);
  EXPECT_EQ(answer.at("code"), "invalid argument");
  EXPECT_EQ(id_of_request("rubbish"), "");
  EXPECT_FALSE(nlohmann::json::parse(encode_answer("", Error{})).contains("id"));
}

TEST(ControlProtocol, AnswersAreOneLineOfJsonWhateverNamesHold) {
  const std::string line = encode_answer(
      "1", JobReport{"a\nb\xff", "id", "/dir", JobStatus{.phase = JobPhase::kRunning}});
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const auto answer = nlohmann::json::parse(line);
  EXPECT_EQ(answer.at("phase"), "RUNNING");
  EXPECT_EQ(answer.at("version"), kControlVersion);
  const auto snapshot = nlohmann::json::parse(encode_answer("", SnapshotInfo{7, "/sp"}));
  EXPECT_EQ(snapshot.at("checkpoint"), 7);
  EXPECT_EQ(snapshot.at("path"), "/sp");
}

}  // namespace
}  // namespace weir::runtime
