#pragma once

#include <cstdint>

namespace weir::state {

/// How the entries of a state lie in RocksDB: docs/formats/rocksdb.md.
enum class RocksLayout : std::uint8_t {
  kAsInStateFiles = 0,
  kTimersByTime = 1,  ///< rocks_timer_layout.h
  kMapEntries = 2,    ///< rocks_map_layout.h
};

}  // namespace weir::state
