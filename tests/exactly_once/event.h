#pragma once

#include <cstdint>

namespace crash {

/// The input of every pipeline here: record `index` of a seeded stream. Each key's records carry
/// the numbers 0, 1, 2, ..., so that a hole, a repetition or a swap shows in the output by itself.
struct Event {
  std::uint32_t key = 0;
  std::int64_t sequence = 0;  ///< within its key
  std::int64_t value = 0;
  std::int64_t time_ms = 0;
};

inline constexpr std::int64_t kFirstTimeMs = 1'700'000'000'000;
inline constexpr std::int64_t kEventsPerMs = 8;
inline constexpr std::int64_t kDisorderMs = 20;
inline constexpr std::int64_t kWindowMs = 1'000;
inline constexpr std::uint32_t kWindowGroups = 4;

/// A mixing function of its own, so that input and model share nothing with the engine.
constexpr std::uint64_t scramble(std::uint64_t x) {
  x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdULL;
  x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53ULL;
  return x ^ (x >> 33);
}

/// Records of one key are `keys` apart, so any split of the indices modulo a divisor of `keys`
/// keeps each key's records together and in order.
constexpr Event make_event(std::uint64_t seed, std::uint32_t keys, std::uint64_t index) {
  const std::uint64_t chance = scramble(seed ^ scramble(index + 1));
  Event event;
  event.key = static_cast<std::uint32_t>(index % keys);
  event.sequence = static_cast<std::int64_t>(index / keys);
  event.value = static_cast<std::int64_t>(chance % 1000);
  event.time_ms = kFirstTimeMs + static_cast<std::int64_t>(index) / kEventsPerMs -
                  static_cast<std::int64_t>((chance >> 32) % kDisorderMs);
  return event;
}

/// The result for one event: how many events of the key there were so far, and their sum.
struct Total {
  std::uint32_t key = 0;
  std::int64_t sequence = 0;
  std::int64_t count = 0;
  std::int64_t total = 0;
};

/// The result for one window.
struct WindowTotal {
  std::uint32_t group = 0;
  std::int64_t start_ms = 0;
  std::int64_t count = 0;
  std::int64_t total = 0;
};

}  // namespace crash
