#include <fstream>

#include "branch_scenarios.h"
#include "file/file_sink.h"

namespace weir::branch {
namespace {

class Files final : public Output {
 public:
  explicit Files(std::string directory) : directory_(std::move(directory)) {}

  std::shared_ptr<Sink> sink() override {
    return file::FileSink<Event>::for_row_format(
               directory_,
               [](const Event& event, std::string& text) { text += std::to_string(event.number); })
        .build();
  }
  std::vector<std::int64_t> committed(std::size_t /*count*/) override {
    std::vector<std::int64_t> numbers;
    if (!std::filesystem::exists(directory_)) {
      return numbers;
    }
    for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
      if (entry.path().filename().string().starts_with("part-")) {
        std::ifstream file(entry.path());
        for (std::string line; std::getline(file, line);) {
          numbers.push_back(std::stoll(line));
        }
      }
    }
    std::sort(numbers.begin(), numbers.end());
    return numbers;
  }

 private:
  const std::string directory_;
};

}  // namespace

std::unique_ptr<Output> make_output(const std::string& directory) {
  return std::make_unique<Files>(directory + "/out");
}

}  // namespace weir::branch
