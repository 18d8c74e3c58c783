#pragma once

#include <cstdint>

#include "generator/random.h"
#include "weir/time.h"

namespace demo {

/// The input: one payment of an account to a merchant.
struct Payment {
  std::uint32_t account = 0;
  std::uint32_t merchant = 0;
  std::int64_t amount_cents = 0;
  weir::TimestampMs time_ms = 0;
};

/// Payments come from this many branches, which are the splits of the source. An account belongs to
/// one branch, so that its payments have an order, and its running total a value, that do not
/// depend on how the branches are interleaved.
inline constexpr std::uint64_t kBranches = 4;
inline constexpr std::uint64_t kAccountsPerBranch = 25'000;
inline constexpr std::uint64_t kMerchants = 1'000;

inline constexpr weir::TimestampMs kFirstTimeMs = 1'767'225'600'000;  // 2026-01-01T00:00:00Z
inline constexpr std::uint64_t kPaymentsPerMs = 10;
/// How far the event time of a payment may lie behind that of its predecessors.
inline constexpr weir::DurationMs kDisorder{2'000};

inline constexpr weir::DurationMs kWindow{10'000};
/// Every so many payments of an account its running total is a result.
inline constexpr std::int64_t kPaymentsPerResult = 50;

/// Payment number `index`: a pure function, shared by the job and by the recomputation.
inline Payment make_payment(std::uint64_t seed, std::uint64_t index) {
  weir::generator::Random random(seed, index);
  Payment payment;
  payment.account =
      static_cast<std::uint32_t>(index % kBranches + kBranches * random.below(kAccountsPerBranch));
  payment.merchant = static_cast<std::uint32_t>(random.below(kMerchants));
  payment.amount_cents = static_cast<std::int64_t>(1 + random.below(100'000));
  payment.time_ms = kFirstTimeMs + static_cast<std::int64_t>(index / kPaymentsPerMs) -
                    static_cast<std::int64_t>(random.below(kDisorder.count()));
  return payment;
}

}  // namespace demo
