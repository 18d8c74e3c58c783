#pragma once

#include <cstdint>

/// The workload of the window benchmarks, shared by the weir pipeline and the hand-written loop:
/// filter -> map -> key_by(user) -> tumbling window of 10 s, count.
namespace weir::bench {

inline constexpr std::int64_t kWindowMs = 10'000;

struct Event {
  std::uint64_t user;
  std::int64_t time_ms;
  std::uint32_t kind;
  std::uint32_t cents;
};

struct Payment {
  std::uint64_t user;
  std::uint64_t cents;
};

struct WindowCount {
  std::uint64_t user;
  std::int64_t window_end;
  std::uint64_t count;
};

/// User ids: 0, 1, 2, ..., or the same spread over all 64-bit numbers.
struct DenseIds {
  static std::uint64_t id(std::uint64_t user) { return user; }
};
struct SpreadIds {
  static std::uint64_t id(std::uint64_t user) {
    // MurmurHash3's finalizer: a bijection.
    std::uint64_t x = (user ^ (user >> 33)) * 0xFF51AFD7ED558CCDULL;
    x = (x ^ (x >> 33)) * 0xC4CEB9FE1A85EC53ULL;
    return x ^ (x >> 33);
  }
};

/// Makes event `index`: users uniform over `users`, event time rising by 10 s in `window_events`.
template <class Ids>
class EventMaker {
 public:
  EventMaker(std::uint64_t users, std::uint64_t window_events)
      : users_(users),
        ms_per_event_((static_cast<std::uint64_t>(kWindowMs) << 32) / window_events) {}

  Event operator()(std::uint64_t index) const {
    // splitmix64
    std::uint64_t x = (index + 1) * 0x9E3779B97F4A7C15ULL;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
    x ^= x >> 31;
    return {Ids::id(((x >> 32) * users_) >> 32),
            static_cast<std::int64_t>((index * ms_per_event_) >> 32),
            static_cast<std::uint32_t>(x & 7), static_cast<std::uint32_t>(x >> 8) & 0xFFFF};
  }

 private:
  std::uint64_t users_;
  std::uint64_t ms_per_event_;  ///< in units of 2^-32 ms
};

inline bool is_payment(const Event& event) { return event.kind != 0; }
inline Payment to_payment(const Event& event) { return {event.user, event.cents}; }

/// Count and order-free hash of result rows.
struct RowSums {
  std::uint64_t rows = 0;
  std::uint64_t sum = 0;
  std::uint64_t mixed = 0;

  void add(std::uint64_t a, std::uint64_t b, std::uint64_t c) {
    std::uint64_t x = a * 0x9E3779B97F4A7C15ULL + b * 0xC2B2AE3D27D4EB4FULL + c;
    x = (x ^ (x >> 32)) * 0xD6E8FEB86659FD93ULL;
    x ^= x >> 32;
    ++rows;
    sum += x;
    mixed ^= x;
  }
  void add(const WindowCount& row) {
    add(row.user, static_cast<std::uint64_t>(row.window_end), row.count);
  }
  void add(const Payment& row) { add(row.user, row.cents, 0); }
};

}  // namespace weir::bench
