#include "checkpoint/state_chain.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/planted_bug.h"

namespace weir::checkpoint {

void StateChain::begin(CheckpointId restored, std::vector<StateHandle> files) {
  files_[restored] = std::move(files);
}

StateChain::Base StateChain::base_for(CheckpointId builds_on) const {
  const auto found = files_.find(builds_on);
  if (found == files_.end() || found->second.empty()) {
    return {};
  }
  const std::vector<StateHandle>& files = found->second;
  const std::uint64_t base_bytes = files.front().file.length_bytes;
  const std::uint64_t delta_bytes = std::accumulate(
      files.begin() + 1, files.end(), std::uint64_t{0},
      [](std::uint64_t sum, const StateHandle& handle) { return sum + handle.file.length_bytes; });
  if (files.size() >= kFilesMax || 2 * delta_bytes >= base_bytes) {
    return {};
  }
  return {builds_on, files};
}

void StateChain::add(CheckpointId checkpoint, std::vector<StateHandle> files) {
  files_[checkpoint] = std::move(files);
}

void StateChain::forget_before(CheckpointId checkpoint) {
  files_.erase(files_.begin(), files_.lower_bound(checkpoint));
}

void FilesBuiltUpon::on_complete(const Manifest& manifest) {
  std::vector<std::string>& paths = of_complete_[manifest.checkpoint];
  for (FileReference& file : files_of(manifest)) {
    paths.push_back(std::move(file.path));
  }
  forget();
}

void FilesBuiltUpon::on_triggered(CheckpointId checkpoint, CheckpointId builds_on) {
  if (builds_on != 0) {
    under_way_[checkpoint] = builds_on;
  }
}

void FilesBuiltUpon::on_over(CheckpointId checkpoint) {
  under_way_.erase(checkpoint);
  forget();
}

/// Later checkpoints build on the highest complete one.
void FilesBuiltUpon::forget() {
  if (of_complete_.empty()) {
    return;
  }
  const CheckpointId highest = of_complete_.rbegin()->first;
  std::erase_if(of_complete_, [&](const auto& complete) {
    return complete.first != highest &&
           std::none_of(under_way_.begin(), under_way_.end(),
                        [&](const auto& under_way) { return under_way.second == complete.first; });
  });
}

std::vector<std::string> FilesBuiltUpon::files() const {
  std::vector<std::string> all;
  if (planted_bug("F1_base")) {
    return all;
  }
  for (const auto& [checkpoint, paths] : of_complete_) {
    all.insert(all.end(), paths.begin(), paths.end());
  }
  return all;
}

}  // namespace weir::checkpoint
