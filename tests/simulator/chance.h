#pragma once

#include <cstdint>

namespace weir::simulator {

/// SplitMix64 (Steele, Lea, Flood 2014): every choice of a schedule comes from one of these.
class Chance {
 public:
  explicit Chance(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() { return mix(state_ += 0x9e3779b97f4a7c15U); }
  /// 0 <= result < n. REQUIRES: n > 0.
  std::int64_t below(std::int64_t n) {
    return static_cast<std::int64_t>((next() >> 1) % static_cast<std::uint64_t>(n));
  }
  /// Both ends inclusive.
  std::int64_t between(std::int64_t low, std::int64_t high) { return low + below(high - low + 1); }
  int small(int low, int high) { return static_cast<int>(between(low, high)); }
  bool one_in(std::int64_t n) { return below(n) == 0; }

  static constexpr std::uint64_t mix(std::uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
  }

 private:
  std::uint64_t state_;
};

}  // namespace weir::simulator
