// A line server whatever its clients do.
#include "io/line_server.h"

#include <atomic>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <vector>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/line_client.h"

namespace weir {
namespace {

constexpr DurationMs kPatience{30'000};

/// Answers "echo <line>" at once; "later ..." once release() was called; "flood" with a megabyte.
class Echo final : public LineHandler {
 public:
  void on_line(LineServer& server, LineClientId client, std::string_view line) override {
    ++lines;
    if (line.starts_with("later")) {
      later_.emplace_back(client, std::string(line));
    } else if (line == "flood") {
      server.answer(client, std::string(1 << 20, 'x').substr(0, (1 << 20) - 2));
    } else {
      server.answer(client, "echo " + std::string(line.substr(0, 20)));
    }
  }
  void on_gone(LineClientId /*client*/) override { ++gone; }
  void on_tick(LineServer& server) override {
    if (is_released.load()) {
      for (const auto& [client, line] : std::exchange(later_, {})) {
        server.answer(client, "at last " + line);
      }
    }
  }

  std::atomic<int> lines{0};
  std::atomic<int> gone{0};
  std::atomic<bool> is_released{false};

 private:
  std::vector<std::pair<LineClientId, std::string>> later_;
};

class LineServerTest : public ::testing::Test {
 protected:
  LineServerTest() {
    std::string name = std::filesystem::temp_directory_path() / "weir-line-XXXXXX";
    directory_ = ::mkdtemp(name.data());
    path_ = directory_ + "/s";
  }
  ~LineServerTest() override {
    server_.reset();
    std::filesystem::remove_all(directory_);
  }
  void start(LineServerOptions options = {}) {
    options.path = path_;
    echo_ = std::make_shared<Echo>();
    auto server = LineServer::start(options, echo_);
    ASSERT_TRUE(server.ok()) << server.error().message;
    server_ = std::move(server).value();
  }
  std::unique_ptr<LineClient> connect() {
    auto client = LineClient::connect(path_);
    EXPECT_TRUE(client.ok()) << client.error().message;
    return std::move(client).value();
  }
  static std::string ask(LineClient& client, const std::string& line) {
    EXPECT_TRUE(client.send(line).ok());
    const auto answer = client.receive(kPatience);
    return answer.ok() ? answer.value() : "error: " + answer.error().message;
  }
  template <class Claim>
  static bool comes_true(const Claim& claim) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!claim() && std::chrono::steady_clock::now() < deadline) {
      ::usleep(1000);
    }
    return claim();
  }

  std::string directory_;
  std::string path_;
  std::shared_ptr<Echo> echo_;
  std::unique_ptr<LineServer> server_;
};

TEST_F(LineServerTest, AnswersLineByLine) {
  start();
  const auto client = connect();
  EXPECT_EQ(ask(*client, "one"), "echo one");
  ASSERT_TRUE(client->send("two\nthree").ok());
  EXPECT_EQ(client->receive(kPatience).value(), "echo two");
  EXPECT_EQ(client->receive(kPatience).value(), "echo three");
}

TEST_F(LineServerTest, TheSocketIsForItsOwnerOnlyAndGoesAway) {
  start();
  struct stat found{};
  ASSERT_EQ(::stat(path_.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600U);
  server_.reset();
  EXPECT_NE(::stat(path_.c_str(), &found), 0);
  EXPECT_EQ(LineClient::connect(path_).error().code, ErrorCode::kNotFound);
}

TEST_F(LineServerTest, AnswersThatTakeLongDoNotHoldOthersUp) {
  start();
  const auto slow = connect();
  ASSERT_TRUE(slow->send("later, please").ok());
  const auto quick = connect();
  EXPECT_EQ(ask(*quick, "now"), "echo now");
  EXPECT_EQ(slow->receive(DurationMs(0)).error().code, ErrorCode::kTimeout);
  echo_->is_released = true;
  EXPECT_EQ(slow->receive(kPatience).value(), "at last later, please");
}

TEST_F(LineServerTest, AClientThatClosesItsSideStillGetsItsAnswer) {
  start();
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path_.data(), path_.size());
  ASSERT_EQ(::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::send(socket, "later\n", 6, MSG_NOSIGNAL), 6);
  ASSERT_EQ(::shutdown(socket, SHUT_WR), 0);
  ASSERT_TRUE(comes_true([this] { return echo_->lines == 1; }));
  echo_->is_released = true;
  std::string received;
  char byte = 0;
  while (::recv(socket, &byte, 1, 0) == 1) {
    received.push_back(byte);
  }
  EXPECT_EQ(received, "at last later\n");
  ::close(socket);
}

TEST_F(LineServerTest, ClientsThatVanishAreForgotten) {
  start();
  for (int i = 0; i < 50; ++i) {
    const auto client = connect();
    ASSERT_TRUE(client->send(i % 2 == 0 ? "later" : "half a li").ok());
  }
  EXPECT_TRUE(comes_true([this] { return echo_->gone == 50; }));
  echo_->is_released = true;
  EXPECT_EQ(ask(*connect(), "still there"), "echo still there");
}

TEST_F(LineServerTest, EndlessLinesAreCutOffAndOthersServed) {
  start({.line_bytes_max = 1000});
  const auto client = connect();
  const Status sent = client->send(std::string(1 << 20, 'a'));
  const auto answer = client->receive(kPatience);
  // The server may hang up while we still talk.
  EXPECT_TRUE(!sent.ok() || !answer.ok() || answer.value().starts_with("echo aaa"));
  EXPECT_TRUE(comes_true([this] { return echo_->gone == 1; }));
  EXPECT_EQ(ask(*connect(), "still there"), "echo still there");
}

TEST_F(LineServerTest, GarbageIsJustAnotherLine) {
  start();
  const auto client = connect();
  const std::string garbage("\0\xff\x80{]\r\t\x1b[2J", 12);
  EXPECT_EQ(ask(*client, garbage), "echo " + garbage);
  EXPECT_EQ(ask(*client, ""), "echo ");
}

TEST_F(LineServerTest, AClientThatDoesNotReadIsDroppedAndHoldsNobodyUp) {
  start();
  const auto deaf = connect();
  for (int i = 0; i < 20; ++i) {
    if (!deaf->send("flood").ok()) {
      break;
    }
  }
  EXPECT_TRUE(comes_true([this] { return echo_->gone == 1; }));
  EXPECT_EQ(ask(*connect(), "still there"), "echo still there");
}

TEST_F(LineServerTest, ServesManyAtOnceAndTurnsTheRestAway) {
  start({.clients_max = 8});
  std::vector<std::unique_ptr<LineClient>> clients;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(connect());
    EXPECT_EQ(ask(*clients.back(), std::to_string(i)), "echo " + std::to_string(i));
  }
  const auto ninth = connect();
  (void)ninth->send("x").ok();
  EXPECT_FALSE(ninth->receive(kPatience).ok());
  EXPECT_EQ(ask(*clients[3], "still"), "echo still");
  clients.clear();
  EXPECT_TRUE(comes_true([this] { return echo_->gone == 8; }));
  EXPECT_EQ(ask(*connect(), "again"), "echo again");
}

TEST_F(LineServerTest, ALeftOverSocketIsReplacedAndALivingOneIsNot) {
  start();
  const auto second = LineServer::start({.path = path_}, std::make_shared<Echo>());
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(ask(*connect(), "still"), "echo still");
  server_.reset();
  // What a killed process leaves behind: a name that nobody listens on.
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path_.data(), path_.size());
  ASSERT_EQ(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ::close(socket);
  start();
  EXPECT_EQ(ask(*connect(), "new"), "echo new");
}

TEST_F(LineServerTest, AFileIsNotReplaced) {
  std::ofstream(path_) << "precious";
  const auto server = LineServer::start({.path = path_}, std::make_shared<Echo>());
  ASSERT_FALSE(server.ok());
  EXPECT_EQ(server.error().code, ErrorCode::kAlreadyExists);
  EXPECT_TRUE(std::filesystem::is_regular_file(path_));
}

TEST_F(LineServerTest, APathThatIsTooLongIsRefusedInWords) {
  const std::string path = directory_ + "/" + std::string(120, 'p');
  const auto server = LineServer::start({.path = path}, std::make_shared<Echo>());
  ASSERT_FALSE(server.ok());
  EXPECT_EQ(server.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(server.error().message.find("107"), std::string::npos);
}

TEST_F(LineServerTest, StopSendsWhatIsOwedAndTakesItsNameFirst) {
  start();
  const auto client = connect();
  ASSERT_TRUE(client->send("later").ok());
  ASSERT_TRUE(comes_true([this] { return echo_->lines == 1; }));
  server_->withdraw();
  EXPECT_FALSE(LineClient::connect(path_).ok());
  echo_->is_released = true;
  server_->stop(kPatience);
  EXPECT_EQ(client->receive(kPatience).value(), "at last later");
  EXPECT_EQ(client->receive(kPatience).error().code, ErrorCode::kUnavailable);
}

TEST_F(LineServerTest, AForeignSocketUnderItsNameIsLeftAlone) {
  start();
  const std::string other = directory_ + "/other";
  auto second = LineServer::start({.path = other}, std::make_shared<Echo>());
  ASSERT_TRUE(second.ok());
  std::filesystem::rename(other, path_);  // As a restarted job would replace it.
  server_.reset();
  EXPECT_TRUE(std::filesystem::exists(path_));
}

}  // namespace
}  // namespace weir
