#include "workspace.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "event_text.h"

namespace crash {
namespace {

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr || *text == '\0' ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace

Workspace::Workspace() {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  folder_ = std::filesystem::path(WEIR_BINARY_DIR) / "exactly_once" /
            (std::string(test->test_suite_name()) + "." + test->name() + "-" +
             std::to_string(::getpid()));
  std::filesystem::remove_all(folder_);
  std::filesystem::create_directories(folder_);
}

Workspace::~Workspace() {
  if (::testing::Test::HasFailure() || std::getenv("WEIR_KEEP_FILES") != nullptr) {
    std::printf("files kept in %s\n", folder_.c_str());
    return;
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::uint64_t campaign_seed() {
  static const std::uint64_t seed = [] {
    const auto now = std::chrono::system_clock::now().time_since_epoch().count();
    const std::uint64_t chosen =
        number_from("WEIR_SEED", static_cast<std::uint64_t>(now) % 1'000'000);
    std::printf("campaign seed: WEIR_SEED=%llu\n", static_cast<unsigned long long>(chosen));
    std::fflush(stdout);
    return chosen;
  }();
  return seed;
}

int campaign_kills(int otherwise) {
  return static_cast<int>(number_from("WEIR_KILLS", static_cast<std::uint64_t>(otherwise)));
}

void write_input_files(const std::string& folder, std::uint64_t seed, std::uint32_t keys,
                       std::uint64_t records, int files) {
  std::filesystem::create_directories(folder);
  std::vector<std::string> texts(static_cast<std::size_t>(files));
  for (std::uint64_t index = 0; index < records; ++index) {
    const Event event = make_event(seed, keys, index);
    std::string& text = texts[event.key % static_cast<std::uint32_t>(files)];
    append_event(event, text);
    text.push_back('\n');
  }
  for (std::size_t i = 0; i < texts.size(); ++i) {
    std::ofstream(folder + "/events-" + std::to_string(i) + ".csv", std::ios::binary) << texts[i];
  }
}

}  // namespace crash
