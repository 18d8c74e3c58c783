#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace crash {

/// A folder of one test, named after it; removed at the end unless the test failed or
/// WEIR_KEEP_FILES is set.
class Workspace {
 public:
  Workspace();
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::string log() const { return path("job.log"); }

 private:
  std::filesystem::path folder_;
};

/// WEIR_SEED, else a number of the clock; printed, so that a run can be repeated.
std::uint64_t campaign_seed();
/// `otherwise`, or for a longer campaign WEIR_KILLS.
int campaign_kills(int otherwise);

/// Writes `records` events into `files` files, so that each key's events are in one file in order.
void write_input_files(const std::string& folder, std::uint64_t seed, std::uint32_t keys,
                       std::uint64_t records, int files);

}  // namespace crash
