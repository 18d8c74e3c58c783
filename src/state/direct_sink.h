#pragma once

#include <string>
#include <utility>

#include "io/block_file.h"
#include "state/snapshot.h"
#include "weir/result.h"

namespace weir::state {

/// Writes blocks at once, on the calling thread.
class DirectSink final : public SnapshotSink {
 public:
  explicit DirectSink(BlockFileWriter writer) : writer_(std::move(writer)) {}

  bool has_room() override { return true; }
  void submit(std::string payload) override {
    if (status_.ok()) {
      status_ = writer_.append(payload).status();
    }
    free_ = std::move(payload);
  }
  std::string recycle() override { return std::exchange(free_, {}); }
  void finish(SnapshotFileInfo info) override { info_ = info; }
  void abandon(Error reason) override { status_ = std::move(reason); }
  bool has_failed() override { return !status_.ok(); }

  Result<SnapshotFileInfo> complete() {
    WEIR_TRY(status_);
    WEIR_ASSIGN(info_.file, writer_.finish());
    return info_;
  }

 private:
  BlockFileWriter writer_;
  Status status_;
  std::string free_;
  SnapshotFileInfo info_;
};

}  // namespace weir::state
