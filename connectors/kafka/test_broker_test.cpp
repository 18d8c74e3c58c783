#include "kafka/test_broker.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include <sys/file.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

namespace weir::kafka::test {
namespace {

std::string slurp(const std::string& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

/// The process whose end is the broker's end: ctest itself, so that its tests share the broker.
int owner_pid() {
  const int parent = static_cast<int>(::getppid());
  const std::string name = slurp("/proc/" + std::to_string(parent) + "/comm");
  return name.starts_with("ctest") ? parent : static_cast<int>(::getpid());
}

}  // namespace

bool TestBroker::is_skipped() {
  const char* skip = std::getenv("WEIR_SKIP_KAFKA");
  return skip != nullptr && std::string(skip) == "1";
}

TestBroker& TestBroker::get() {
  static TestBroker broker;
  return broker;
}

std::string TestBroker::control(const std::vector<std::string>& arguments) {
  std::string command = "python3 " WEIR_SOURCE_DIR "/tools/servers/kafka.py";
  for (const std::string& argument : arguments) {
    command += " '" + argument + "'";
  }
  command += " --dir '" + folder_ + "' 2>&1";
  std::string output;
  std::FILE* const pipe = ::popen(command.c_str(), "r");
  char piece[4096];
  while (pipe != nullptr && std::fgets(piece, sizeof(piece), pipe) != nullptr) {
    output += piece;
  }
  if (pipe == nullptr || ::pclose(pipe) != 0) {
    std::cerr << command << "\n"
              << output
              << "\nThe Kafka broker for the tests cannot be had; WEIR_SKIP_KAFKA=1 skips them.\n";
    std::_Exit(1);
  }
  return output;
}

TestBroker::TestBroker() {
  const int owner = owner_pid();
  const char* version = std::getenv("WEIR_KAFKA_VERSION");
  const char* const running = std::getenv("WEIR_TEST_BROKER_FOLDER");
  folder_ =
      running != nullptr
          ? std::string(running)
          : (std::filesystem::temp_directory_path() / ("weir-kafka-test-" + std::to_string(owner)))
                .string();
  std::filesystem::create_directories(folder_);
  const std::string lock_file = folder_ + ".lock";
  std::FILE* const lock = std::fopen(lock_file.c_str(), "w");
  ::flock(::fileno(lock), LOCK_EX);
  if (!std::filesystem::exists(folder_ + "/broker.json")) {
    std::vector<std::string> start{
        "start", "--sasl", "--ssl", "--owner", std::to_string(owner),
        // Timed-out transactions are looked for every 10 s by default.
        "--property", "transaction.abort.timed.out.transaction.cleanup.interval.ms=200"};
    if (version != nullptr) {
      start.insert(start.end(), {"--version", version});
    }
    control(start);
  }
  std::fclose(lock);
  const auto facts = nlohmann::json::parse(slurp(folder_ + "/broker.json"));
  plaintext_ = facts["listeners"]["plaintext"];
  sasl_ = facts["listeners"]["sasl"];
  ssl_ = facts["listeners"]["ssl"];
  ca_file_ = facts["ssl"]["ca"];
  version_ = facts["version"];
}

std::string TestBroker::make_topic(const std::string& stem, int partitions) {
  static std::atomic<int> count{0};
  const std::string name = stem + "-" + std::to_string(::getpid()) + "-" + std::to_string(++count);
  create_topic(name, partitions);
  return name;
}

void TestBroker::create_topic(const std::string& name, int partitions) {
  control({"topic", "create", name, "--partitions", std::to_string(partitions)});
}

int TestBroker::stored_codec(const std::string& topic) {
  constexpr std::size_t kAttributesLowByte = 22;  // of a record batch, magic 2
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_)) {
    const std::string path = entry.path();
    if (path.ends_with("/" + topic + "-0/00000000000000000000.log")) {
      const std::string batch = slurp(path);
      return batch.size() > kAttributesLowByte ? batch[kAttributesLowByte] & 7 : -1;
    }
  }
  return -1;
}

void TestBroker::delete_topic(const std::string& name) { control({"topic", "delete", name}); }
void TestBroker::kill() { control({"kill"}); }
void TestBroker::restart() { control({"restart"}); }

}  // namespace weir::kafka::test
