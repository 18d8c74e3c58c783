#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/manifest.h"

namespace weir::checkpoint {

/// What lies between two snapshots of a job. Pure.

enum class Presence { kBoth, kOnlyFirst, kOnlySecond };
std::string_view presence_name(Presence presence);  ///< "both", "removed", "added"

/// An operator, source or sink, matched by uid.
struct OperatorDifference {
  std::string uid;
  std::string name;
  std::string kind;  ///< "operator", "source", "sink"
  Presence presence = Presence::kBoth;
  int parallelism_first = 0;
  int parallelism_second = 0;
  std::uint64_t bytes_first = 0;  ///< of its files
  std::uint64_t bytes_second = 0;
};

/// A split of a source, matched by its id.
struct SplitDifference {
  std::string source_uid;
  std::string id;
  Presence presence = Presence::kBoth;
  std::string state_first;  ///< the source's own form
  std::string state_second;
};

struct FileDifference {
  std::vector<FileReference> shared;
  std::vector<FileReference> only_first;
  std::vector<FileReference> only_second;
};

struct SnapshotDifference {
  std::vector<OperatorDifference> operators;  ///< of the first, then what only the second has
  std::vector<SplitDifference> splits;        ///< by source and id
  FileDifference files;                       ///< each by path
};

SnapshotDifference difference_of(const Manifest& first, const Manifest& second);

std::uint64_t bytes_of(const OperatorSnapshot& op);
std::uint64_t bytes_of(const SinkSnapshot& sink);

}  // namespace weir::checkpoint
