#include "broker.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "child_process.h"

namespace crash {
namespace {

constexpr Milliseconds kControlTimeout{120'000};
constexpr int kNotThere = 3;

ChildProcess::Order order_of(const std::string& folder, std::vector<std::string> words) {
  ChildProcess::Order order;
  order.program = "/usr/bin/env";
  words.insert(words.begin(), {"python3", WEIR_SOURCE_DIR "/tools/servers/kafka.py"});
  words.insert(words.end(), {"--dir", folder});
  order.arguments = std::move(words);
  order.log_path = folder + ".log";
  return order;
}

}  // namespace

Broker* Broker::get() {
  static Broker broker;
  static const int status = broker.start();
  return status == 0 ? &broker : nullptr;
}

int Broker::start() {
  folder_ = std::string(WEIR_BINARY_DIR) + "/exactly_once/broker-" + std::to_string(::getpid());
  std::filesystem::create_directories(folder_);
  ChildProcess starting(order_of(
      folder_, {"start", "--sasl", "--owner", std::to_string(::getpid())}));
  const auto ending = starting.wait(kControlTimeout);
  if (ending.has_value() && ending->exit_status == kNotThere &&
      std::getenv("WEIR_REQUIRE_KAFKA") == nullptr) {
    return kNotThere;
  }
  if (!ending.has_value() || !ending->is_success()) {
    std::fprintf(stderr, "the broker does not start; see %s.log\n", folder_.c_str());
    std::exit(1);
  }
  std::ifstream in(folder_ + "/broker.json");
  const auto facts = nlohmann::json::parse(in);
  bootstrap_ = facts["listeners"]["plaintext"];
  sasl_bootstrap_ = facts["listeners"]["sasl"];
  return 0;
}

Broker::~Broker() {
  if (!bootstrap_.empty()) {
    control({"kill"});
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
    std::filesystem::remove(folder_ + ".log", ignored);
  }
}

std::string Broker::control(std::vector<std::string> words) {
  return run_program(order_of(folder_, std::move(words)), kControlTimeout);
}

std::string Broker::create_topic(const std::string& stem, int partitions,
                                 const std::vector<std::string>& config) {
  const std::string name = stem + "-" + std::to_string(++topics_);
  std::vector<std::string> words{"topic", "create", name, "--partitions",
                                 std::to_string(partitions)};
  for (const std::string& one : config) {
    words.insert(words.end(), {"--config", one});
  }
  control(std::move(words));
  return name;
}

void Broker::create_topic_named(const std::string& name, int partitions) {
  control({"topic", "create", name, "--partitions", std::to_string(partitions)});
}

void Broker::delete_topic(const std::string& name) { control({"topic", "delete", name}); }

std::map<int, std::int64_t> Broker::ends(const std::string& topic, const std::string& isolation) {
  std::istringstream text(control({"offsets", topic, "--isolation", isolation}));
  std::map<int, std::int64_t> ends;
  int partition = 0;
  std::int64_t offset = 0;
  while (text >> partition >> offset) {
    ends[partition] = offset;
  }
  return ends;
}

std::map<int, std::int64_t> Broker::stable_ends(const std::string& topic) {
  return ends(topic, "read_committed");
}

std::map<int, std::int64_t> Broker::log_ends(const std::string& topic) {
  return ends(topic, "read_uncommitted");
}

bool Broker::is_stable_within(const std::string& topic, int timeout_ms) {
  const auto deadline = std::chrono::steady_clock::now() + Milliseconds(timeout_ms);
  while (stable_ends(topic) != log_ends(topic)) {
    if (std::chrono::steady_clock::now() >= deadline) {
      return false;
    }
    std::this_thread::sleep_for(Milliseconds(200));
  }
  return true;
}

}  // namespace crash
