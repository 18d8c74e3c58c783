#pragma once

#include <cstdint>

namespace weir::generator {

/// Random numbers that are a pure function of (seed, index): the same record gets the same numbers
/// in every run, at every parallelism and after every restart. SplitMix64 (Steele, Lea, Flood
/// 2014).
class Random {
 public:
  constexpr Random(std::uint64_t seed, std::uint64_t index)
      : state_(mix(seed + kGamma) ^ mix(index)) {}

  /// Uniform over all 64-bit numbers.
  constexpr std::uint64_t next() {
    state_ += kGamma;
    return mix(state_);
  }
  /// Uniform in [0, bound), 0 for bound 0. The bias is below bound / 2^64.
  constexpr std::uint64_t below(std::uint64_t bound) {
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::uint64_t>((static_cast<Wide>(next()) * bound) >> 64);
  }
  /// Uniform in [0, 1).
  constexpr double unit() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

 private:
  static constexpr std::uint64_t kGamma = 0x9e3779b97f4a7c15ULL;

  static constexpr std::uint64_t mix(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }

  std::uint64_t state_;
};

}  // namespace weir::generator
