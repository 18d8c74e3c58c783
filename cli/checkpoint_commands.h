#pragma once

#include <string>

namespace weir::cli {

/// `weir checkpoint ...`: looks at snapshots on disk; needs no running job and disturbs none. Each
/// prints its answer and returns the exit status.

int list_checkpoints(const std::string& directory, bool is_json);

struct DescribeOptions {
  bool has_key_groups = false;  ///< reads all state files
  bool is_json = false;
};
int describe_snapshot(const std::string& snapshot, const DescribeOptions& options);

/// kExitFailed when anything is wrong with it.
int verify_snapshot_at(const std::string& snapshot, bool is_json);

int diff_snapshots(const std::string& first, const std::string& second, bool is_json);

int measure_storage(const std::string& directory, bool is_json);

}  // namespace weir::cli
