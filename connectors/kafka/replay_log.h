#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kafka/record.h"
#include "weir/result.h"
#include "weir/time.h"

namespace weir::kafka {

/// Gathers the records of one epoch into chunks that are stored with the checkpoint, so that the
/// epoch can be produced again after the broker rolled its transaction back. Pure. The format is
/// in docs/formats/kafka.md.
class ReplayLogBuilder {
 public:
  void append(const Record& record);
  /// Bytes gathered since the last take_chunk().
  std::size_t pending_bytes() const { return body_.size(); }
  bool empty() const { return record_count_ == 0; }
  /// A finished chunk of what was gathered; the next one starts empty. REQUIRES: !empty().
  std::string take_chunk();

 private:
  std::uint32_t chunk_number_ = 0;
  std::uint32_t record_count_ = 0;
  std::string body_;
};

/// The records of chunk number `chunk_number`. kCorruption names what is wrong with it.
Result<std::vector<Record>> decode_replay_chunk(std::string_view bytes, std::uint32_t chunk_number);

}  // namespace weir::kafka
