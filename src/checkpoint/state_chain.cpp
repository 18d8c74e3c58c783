#include "checkpoint/state_chain.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/planted_bug.h"
#include "checkpoint/garbage.h"
#include "weir/codec.h"

namespace weir::checkpoint {

namespace {

/// Of stored bytes to those of the state before compression.
constexpr double kStoredMax = 1.5;

/// One file of a chain, and how much of it is up to date.
struct Link {
  ChainLink link;
  std::uint64_t length_bytes = 0;
  int groups_current = 0;  ///< of the whole ones, those that no later file is whole in

  std::uint64_t raw_bytes() const { return link.raw_bytes != 0 ? link.raw_bytes : length_bytes; }
  /// What is stored of a byte, by compression.
  double stored_share() const {
    return static_cast<double>(length_bytes) /
           std::max<double>(static_cast<double>(raw_bytes()), 1);
  }
  /// Stored bytes that hold what changed, in key groups that the file is not whole in.
  double delta_bytes() const {
    return static_cast<double>(raw_bytes() - std::min(raw_bytes(), link.whole_bytes)) *
           stored_share();
  }
  /// Bytes of the entries that no later file is whole in, before compression.
  double current_bytes() const {
    return groups_current == 0
               ? 0
               : static_cast<double>(link.whole_bytes) * groups_current / link.whole.size();
  }
};

std::vector<Link> links_of(const std::vector<StateHandle>& files) {
  std::vector<Link> links;
  for (const StateHandle& handle : files) {
    links.push_back({ChainLink::of(handle, links.empty()), handle.file.length_bytes, 0});
  }
  const KeyGroupRange all = files.front().key_groups;
  for (int group = all.first; group <= all.last; ++group) {
    const auto last = std::find_if(links.rbegin(), links.rend(), [&](const Link& link) {
      return link.link.whole.contains(group);
    });
    if (last != links.rend()) {
      ++last->groups_current;
    }
  }
  return links;
}

}  // namespace

std::string ChainLink::encode() const {
  std::string bytes;
  Encoder out(bytes);
  out.varint(static_cast<std::uint64_t>(whole.size() == 0 ? 0 : whole.first));
  out.varint(static_cast<std::uint64_t>(whole.size()));
  out.varint(whole_bytes);
  if (raw_bytes != 0) {
    out.varint(raw_bytes);
  }
  return bytes;
}

ChainLink ChainLink::of(const StateHandle& handle, bool is_first) {
  ChainLink link;
  if (handle.meta.empty()) {
    if (is_first) {
      link = {handle.key_groups, handle.file.length_bytes, 0};
    }
    return link;
  }
  Decoder in(handle.meta);
  const std::uint64_t first = in.varint();
  const std::uint64_t size = in.varint();
  const std::uint64_t whole_bytes = in.varint();
  const std::uint64_t raw_bytes = in.remaining() == 0 ? 0 : in.varint();
  const auto is_within = [&](std::uint64_t group) {
    return group <= static_cast<std::uint64_t>(kUpperBoundMaxParallelism) &&
           handle.key_groups.contains(static_cast<int>(group));
  };
  if (in.exhausted() && size != 0 && is_within(first) && is_within(first + size - 1)) {
    link.whole = {static_cast<int>(first), static_cast<int>(first + size - 1)};
    link.whole_bytes = whole_bytes;
    link.raw_bytes = raw_bytes;
  }
  return link;
}

bool StateChain::begin(CheckpointId restored, std::vector<StateHandle> files, KeyGroupRange own) {
  const bool may_go_on =
      !files.empty() && std::all_of(files.begin(), files.end(), [&](const StateHandle& handle) {
        return is_shared_path(handle.file.path) && handle.key_groups == own;
      });
  if (may_go_on) {
    files_[restored] = std::move(files);
  }
  return may_go_on;
}

StateChain::Base StateChain::base_for(CheckpointId builds_on) const {
  const auto found = files_.find(builds_on);
  if (found == files_.end() || found->second.empty()) {
    return {};
  }
  const std::vector<StateHandle>& files = found->second;
  const std::vector<Link> links = links_of(files);
  const KeyGroupRange all = files.front().key_groups;
  double state_bytes = 0;
  double stored_bytes = 0;
  for (const Link& link : links) {
    state_bytes += link.current_bytes();
    stored_bytes += link.current_bytes() * std::min(link.stored_share(), 1.0);
  }
  const double room_for_outdated = std::max(kStoredMax * state_bytes - stored_bytes, 1.0);
  // How many key groups should have been renewed since the first file, and how many were.
  double due = 0;
  double due_of_last = 0;
  double renewed = 0;
  int next = all.first;
  for (auto link = links.begin() + 1; link != links.end(); ++link) {
    const double share = link->delta_bytes() / room_for_outdated;
    due_of_last = all.size() * std::max(share, 1.0 / kFilesMax);
    due += due_of_last;
    renewed += link->link.whole.size();
    next = link->link.whole.size() == 0 ? next : link->link.whole.last + 1;
  }
  // What was renewed in one go is due again in one go, unless it is spread.
  const double most = std::min<double>(std::ceil(2 * due_of_last), all.size());
  const int count = static_cast<int>(std::clamp<double>(due - renewed, 0, most));
  if (count == all.size()) {
    return {};
  }
  next = next > all.last ? all.first : next;
  return {builds_on, files, {next, std::min(next + count - 1, all.last)}};
}

std::vector<StateHandle> StateChain::extended(std::vector<StateHandle> base, StateHandle own) {
  base.push_back(std::move(own));
  const std::vector<Link> links = links_of(base);
  auto needed = std::find_if(links.begin(), links.end(),
                             [](const Link& link) { return link.groups_current != 0; });
  if (planted_bug("F1_cut") && needed != links.end() && needed + 1 != links.end()) {
    ++needed;
  }
  base.erase(base.begin(), base.begin() + (needed - links.begin()));
  return base;
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
