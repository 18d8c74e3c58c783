#pragma once

#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "simulator/broker.h"

namespace weir::simulator {

/// The bytes of the simulator's own files: pairs of 32-bit numbers.
inline std::string encode_pairs(const std::vector<std::pair<int, int>>& pairs) {
  std::string bytes;
  for (const auto& [first, second] : pairs) {
    const int both[2] = {first, second};
    bytes.append(reinterpret_cast<const char*>(both), sizeof both);
  }
  return bytes;
}

inline std::vector<std::pair<int, int>> decode_pairs(std::string_view bytes) {
  std::vector<std::pair<int, int>> pairs;
  for (std::size_t at = 0; at + 2 * sizeof(int) <= bytes.size(); at += 2 * sizeof(int)) {
    int both[2];
    std::memcpy(both, bytes.data() + at, sizeof both);
    pairs.emplace_back(both[0], both[1]);
  }
  return pairs;
}

inline std::string encode_records(const std::vector<Record>& records) {
  std::vector<std::pair<int, int>> pairs;
  pairs.reserve(records.size());
  for (const Record& record : records) {
    pairs.emplace_back(record.key, record.sequence);
  }
  return encode_pairs(pairs);
}

inline std::vector<Record> decode_records(std::string_view bytes) {
  std::vector<Record> records;
  for (const auto& [key, sequence] : decode_pairs(bytes)) {
    records.push_back({key, sequence});
  }
  return records;
}

}  // namespace weir::simulator
