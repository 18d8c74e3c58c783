// Where a job's control socket is, who finds it, and what it answers.
#include "runtime/control_server.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "io/line_client.h"
#include "runtime/control_address.h"

namespace weir::runtime {
namespace {

constexpr DurationMs kPatience{30'000};
constexpr const char* kJobId = "0123456789abcdef0123456789abcdef";

class ControlServerTest : public ::testing::Test {
 protected:
  ControlServerTest() {
    std::string name = std::filesystem::temp_directory_path() / "weir-control-XXXXXX";
    directory_ = ::mkdtemp(name.data());
    ::setenv("XDG_RUNTIME_DIR", directory_.c_str(), 1);
    place_ = directory_ + "/" + kJobId;
    std::filesystem::create_directories(place_);
  }
  ~ControlServerTest() override {
    server_.reset();
    ::unsetenv("XDG_RUNTIME_DIR");
    std::filesystem::remove_all(directory_);
  }
  void start(const std::string& socket = {}) {
    job_ = std::make_shared<JobControl>("shop", kJobId);
    job_->set_status(JobStatus{.phase = JobPhase::kRunning, .attempt = 3});
    auto server = ControlServer::start({place_, kJobId, socket}, job_);
    ASSERT_TRUE(server.ok()) << server.error().message;
    server_ = std::move(server).value();
  }
  /// A place whose socket's path would be longer than a socket's path may be.
  void use_long_place() {
    place_ = directory_ + "/" + std::string(90, 'l') + "/" + kJobId;
    std::filesystem::create_directories(place_);
  }
  static std::unique_ptr<LineClient> connect(const std::string& job) {
    const auto socket = find_control_socket(job);
    EXPECT_TRUE(socket.ok()) << socket.error().message;
    auto client = LineClient::connect(socket.value());
    EXPECT_TRUE(client.ok()) << client.error().message;
    return std::move(client).value();
  }
  static nlohmann::json ask(LineClient& client, const std::string& line) {
    EXPECT_TRUE(client.send(line).ok());
    return receive(client);
  }
  static nlohmann::json receive(LineClient& client) {
    const auto answer = client.receive(kPatience);
    EXPECT_TRUE(answer.ok()) << answer.error().message;
    return nlohmann::json::parse(answer.ok() ? answer.value() : "{}");
  }
  static constexpr const char* kStatus = R"({"version":1,"request":"status"})";

  std::string directory_;
  std::string place_;
  std::shared_ptr<JobControl> job_;
  std::unique_ptr<ControlServer> server_;
};

TEST_F(ControlServerTest, IsFoundByDirectoryJobDirectoryJobIdAndSocket) {
  start();
  EXPECT_EQ(server_->path(), place_ + "/control.sock");
  for (const std::string& name : {directory_, place_, std::string(kJobId), server_->path()}) {
    const nlohmann::json status = ask(*connect(name), kStatus);
    EXPECT_EQ(status.at("ok"), true) << name;
    EXPECT_EQ(status.at("job_name"), "shop");
    EXPECT_EQ(status.at("phase"), "RUNNING");
    EXPECT_EQ(status.at("attempt"), 3);
    EXPECT_EQ(status.at("directory"), place_);
  }
}

TEST_F(ControlServerTest, APathThatIsTooLongIsReplacedByAShortOneWithANote) {
  use_long_place();
  start();
  EXPECT_LE(server_->path().size(), kSocketPathBytesMax);
  EXPECT_TRUE(server_->path().starts_with(directory_ + "/weir/"));
  for (const std::string& name : {place_, std::string(kJobId)}) {
    EXPECT_EQ(ask(*connect(name), kStatus).at("job_name"), "shop") << name;
  }
  const std::string socket = server_->path();
  server_.reset();
  EXPECT_FALSE(std::filesystem::exists(socket));
  EXPECT_FALSE(std::filesystem::exists(place_ + "/control.sock.path"));
}

TEST_F(ControlServerTest, ASettingChoosesThePath) {
  start(directory_ + "/chosen");
  EXPECT_EQ(server_->path(), directory_ + "/chosen");
  EXPECT_EQ(ask(*connect(place_), kStatus).at("job_name"), "shop");
  const auto second = ControlServer::start({place_, kJobId, directory_ + "/chosen"}, job_);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::kAlreadyExists);
}

TEST_F(ControlServerTest, LeavesNothingBehind) {
  start();
  server_.reset();
  EXPECT_TRUE(std::filesystem::is_empty(place_));
  EXPECT_TRUE(std::filesystem::is_empty(directory_ + "/weir"));
  const auto found = find_control_socket(directory_);
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code, ErrorCode::kNotFound);
}

TEST_F(ControlServerTest, WhatAKilledProcessLeftBehindIsReplaced) {
  start();
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  const std::string left = directory_ + "/left";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  left.copy(address.sun_path, left.size());
  ASSERT_EQ(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ::close(socket);
  server_.reset();
  std::filesystem::rename(left, place_ + "/control.sock");
  std::ofstream(place_ + "/control.sock.path") << "/somewhere/else\n";
  std::filesystem::create_symlink("/gone", directory_ + "/weir/ffff.00000000.sock");
  start();
  EXPECT_EQ(ask(*connect(directory_), kStatus).at("job_name"), "shop");
  EXPECT_FALSE(std::filesystem::exists(place_ + "/control.sock.path"));
  EXPECT_FALSE(std::filesystem::is_symlink(directory_ + "/weir/ffff.00000000.sock"));
}

TEST_F(ControlServerTest, SeveralJobsInOneDirectoryHaveToBeTold) {
  start();
  const std::string other = directory_ + "/fedcba9876543210fedcba9876543210";
  std::filesystem::create_directories(other);
  const auto second = ControlServer::start({other, "fedcba9876543210fedcba9876543210", ""}, job_);
  ASSERT_TRUE(second.ok());
  const auto found = find_control_socket(directory_);
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(found.error().message.find(other), std::string::npos) << found.error().message;
}

TEST_F(ControlServerTest, SnapshotsAreAnsweredWhenTheyAreThereAndOthersDoNotWait) {
  start();
  const auto slow = connect(place_);
  ASSERT_TRUE(
      slow->send(R"({"version":1,"id":"s","request":"trigger-savepoint","directory":"/sp"})").ok());
  std::vector<std::shared_ptr<SnapshotRequest>> requests;
  while (requests.empty()) {
    // The job's thread, which also serves others meanwhile.
    EXPECT_EQ(ask(*connect(place_), kStatus).at("ok"), true);
    requests = job_->take_requests();
  }
  EXPECT_EQ(requests[0]->kind(), SnapshotRequest::Kind::kSavepoint);
  EXPECT_EQ(requests[0]->directory(), "/sp");
  requests[0]->answer(SnapshotInfo{12, "/sp/savepoint-1"});
  const nlohmann::json answer = receive(*slow);
  EXPECT_EQ(answer.at("id"), "s");
  EXPECT_EQ(answer.at("checkpoint"), 12);
  EXPECT_EQ(answer.at("path"), "/sp/savepoint-1");
}

TEST_F(ControlServerTest, ClientsThatVanishOrSendGarbageDoNotMatter) {
  start();
  for (int i = 0; i < 40; ++i) {
    const auto client = connect(place_);
    ASSERT_TRUE(client
                    ->send(i % 3 == 0   ? std::string(2'000, '\xff')
                           : i % 3 == 1 ? R"({"version":1,"request":"trigger-checkpoint"})"
                                        : "{\"version\":1,\"requ")
                    .ok());
  }
  const auto client = connect(place_);
  EXPECT_EQ(ask(*client, "rubbish").at("code"), "invalid argument");
  EXPECT_EQ(ask(*client, kStatus).at("ok"), true);
  // The requests of those who left are the job's all the same, and nobody hears the answers.
  for (const auto& request : job_->take_requests()) {
    request->answer(SnapshotInfo{1, "x"});
  }
  EXPECT_EQ(ask(*client, kStatus).at("ok"), true);
}

TEST_F(ControlServerTest, CancelAndStopAreAnsweredWhenTheJobHasEnded) {
  start();
  const auto canceller = connect(place_);
  const auto waiter = connect(place_);
  ASSERT_TRUE(canceller->send(R"({"version":1,"request":"cancel"})").ok());
  ASSERT_TRUE(waiter->send(R"({"version":1,"request":"stop-with-savepoint"})").ok());
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!job_->is_cancel_requested() && std::chrono::steady_clock::now() < deadline) {
    ::usleep(1000);
  }
  ASSERT_TRUE(job_->is_cancel_requested());
  (void)ask(*connect(place_), kStatus);  // By now the other request has arrived as well.
  const Result<JobResult> result = JobResult{.state = JobState::kCanceled, .last_checkpoint = 5};
  server_->withdraw();
  EXPECT_FALSE(std::filesystem::exists(place_ + "/control.sock"));
  job_->finish(result);
  server_->finish(result);
  const nlohmann::json cancelled = receive(*canceller);
  EXPECT_EQ(cancelled.at("ok"), true);
  EXPECT_EQ(cancelled.at("phase"), "CANCELED");
  EXPECT_EQ(cancelled.at("last_checkpoint"), 5);
  EXPECT_EQ(receive(*waiter).at("code"), "cancelled");
}

TEST_F(ControlServerTest, ARuntimeDirectoryThatOthersMayWriteToIsNotUsed) {
  std::filesystem::create_directories(directory_ + "/weir");
  std::filesystem::permissions(directory_ + "/weir", std::filesystem::perms::all);
  const auto made = make_runtime_directory();
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().code, ErrorCode::kAuthentication);
  start();  // It is only the short cut by job id that is missing.
  EXPECT_EQ(ask(*connect(place_), kStatus).at("ok"), true);
}

}  // namespace
}  // namespace weir::runtime
