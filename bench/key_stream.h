#pragma once

#include <sys/resource.h>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>

namespace bench {

/// Distinct keys without order.
inline std::uint64_t key_of(std::uint64_t n) {
  n = (n + 1) * 0xd6e8'feb8'6659'fd93ULL;
  return n ^ n >> 32;
}

/// What an event of the key adds: an amount, as sums have them; sums of random 64 bits would be
/// values that nothing compresses.
inline std::uint64_t amount_of(std::uint64_t key) { return key >> 52; }

/// Keys of `keys` distinct ones, uniform or zipf 0.99 (Gray et al., "Quickly generating
/// billion-record synthetic databases", 1994), hot ones spread over all.
class KeyStream {
 public:
  KeyStream(std::uint64_t keys, bool is_zipf) : keys_(keys), is_zipf_(is_zipf) {
    if (is_zipf_) {
      // The sum of n^-theta: exact for the first terms, an integral for the rest.
      constexpr std::uint64_t kExact = 100'000;
      for (std::uint64_t i = 1; i <= keys_ && i <= kExact; ++i) {
        zeta_ += std::pow(static_cast<double>(i), -kTheta);
      }
      if (keys_ > kExact) {
        zeta_ += (std::pow(static_cast<double>(keys_), 1 - kTheta) -
                  std::pow(static_cast<double>(kExact), 1 - kTheta)) /
                 (1 - kTheta);
      }
      const double zeta2 = 1 + std::pow(0.5, kTheta);
      alpha_ = 1 / (1 - kTheta);
      eta_ = (1 - std::pow(2.0 / static_cast<double>(keys_), 1 - kTheta)) / (1 - zeta2 / zeta_);
    }
  }

  std::uint64_t next() {
    state_ += 0x9e37'79b9'7f4a'7c15ULL;
    std::uint64_t random = state_;
    random = (random ^ random >> 30) * 0xbf58'476d'1ce4'e5b9ULL;
    random = (random ^ random >> 27) * 0x94d0'49bb'1331'11ebULL;
    random ^= random >> 31;
    if (!is_zipf_) {
      return key_of(random % keys_);
    }
    const double uniform = static_cast<double>(random >> 11) * 0x1p-53;
    const double scaled = uniform * zeta_;
    if (scaled < 1) {
      return key_of(0);
    }
    if (scaled < 1 + std::pow(0.5, kTheta)) {
      return key_of(1 % keys_);
    }
    const auto rank = static_cast<std::uint64_t>(static_cast<double>(keys_) *
                                                 std::pow(eta_ * uniform - eta_ + 1, alpha_));
    return key_of(rank % keys_);
  }

 private:
  static constexpr double kTheta = 0.99;
  const std::uint64_t keys_;
  const bool is_zipf_;
  double zeta_ = 0;
  double alpha_ = 0;
  double eta_ = 0;
  std::uint64_t state_ = 42;
};

/// Time of the process, all threads, and of the clock on the wall.
class Stopwatch {
 public:
  Stopwatch() : wall_(std::chrono::steady_clock::now()), cpu_s_(cpu()) {}
  double wall_s() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - wall_).count();
  }
  double cpu_s() const { return cpu() - cpu_s_; }

 private:
  static double cpu() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) {
      return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
  }
  std::chrono::steady_clock::time_point wall_;
  double cpu_s_;
};

}  // namespace bench
