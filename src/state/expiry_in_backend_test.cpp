// What backends are told of encoded values with a time to live.

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include <gtest/gtest.h>

#include "weir/state_ttl.h"

namespace weir::state {
namespace {

using detail::Expiring;

constexpr TimestampMs kTtl = 100;

template <class Stored>
std::string encoded(const Stored& stored) {
  std::string bytes;
  Encoder out(bytes);
  Codec<Stored>::encode(stored, out);
  return bytes;
}

/// What is found in the stored value, and what is left where that is some.
template <class Stored>
struct Looked {
  Expiry expiry;
  Stored rest{};
};
template <class Stored>
Looked<Stored> look(const Stored& stored, TimestampMs now) {
  std::string rest = "whatever was there";
  Looked<Stored> result{
      detail::expiry_in_backend<Stored>({.ttl = DurationMs(kTtl)}).of(encoded(stored), now, rest),
      {}};
  if (result.expiry == Expiry::kSome) {
    Decoder in(rest);
    Codec<Stored>::decode(in, result.rest);
    EXPECT_TRUE(in.exhausted());
  }
  return result;
}

TEST(ExpiryInBackend, AValueExpiresWhenItsTimeToLiveIsOver) {
  const Expiring<std::string> value{"hello", 1'000};
  EXPECT_EQ(look(value, 1'000 + kTtl - 1).expiry, Expiry::kNothing);
  EXPECT_EQ(look(value, 1'000 + kTtl).expiry, Expiry::kAll);
}

TEST(ExpiryInBackend, AListLosesWhatHasExpiredAndKeepsTheRest) {
  const std::vector<Expiring<std::int64_t>> list{{1, 1'000}, {2, 1'050}, {3, 1'010}};
  EXPECT_EQ(look(list, 1'000).expiry, Expiry::kNothing);
  const auto some = look(list, 1'010 + kTtl);
  EXPECT_EQ(some.expiry, Expiry::kSome);
  ASSERT_EQ(some.rest.size(), 1U);
  EXPECT_EQ(some.rest.front().value, 2);
  EXPECT_EQ(some.rest.front().last_access_ms, 1'050);
  EXPECT_EQ(look(list, 1'050 + kTtl).expiry, Expiry::kAll);
}

TEST(ExpiryInBackend, AMapLosesWhatHasExpiredAndKeepsTheRest) {
  std::unordered_map<std::string, Expiring<std::int64_t>> map;
  map["a"] = {1, 1'000};
  map["b"] = {2, 1'050};
  EXPECT_EQ(look(map, 1'000).expiry, Expiry::kNothing);
  const auto some = look(map, 1'000 + kTtl);
  EXPECT_EQ(some.expiry, Expiry::kSome);
  ASSERT_EQ(some.rest.size(), 1U);
  EXPECT_EQ(some.rest.at("b").value, 2);
  EXPECT_EQ(look(map, 1'050 + kTtl).expiry, Expiry::kAll);
}

TEST(ExpiryInBackend, WhatDoesNotDecodeHasNotExpired) {
  std::string rest;
  const StateTtlConfig config{.ttl = DurationMs(kTtl)};
  EXPECT_EQ(detail::expiry_in_backend<Expiring<std::int64_t>>(config).of("short", 1'000, rest),
            Expiry::kNothing);
  const std::vector<Expiring<std::int64_t>> list{{1, 0}, {2, 0}};
  const std::string whole = encoded(list);
  const auto of = detail::expiry_in_backend<std::vector<Expiring<std::int64_t>>>(config).of;
  EXPECT_EQ(of(whole, 1'000, rest), Expiry::kAll);
  EXPECT_EQ(of(whole.substr(0, whole.size() - 1), 1'000, rest), Expiry::kNothing);
  EXPECT_EQ(of(whole + "x", 1'000, rest), Expiry::kNothing);
}

TEST(ExpiryInBackend, WhoRemovesWhatHasExpiredIsConfigured) {
  using Stored = Expiring<std::int64_t>;
  StateTtlConfig config{.ttl = DurationMs(kTtl)};
  EXPECT_TRUE(detail::expiry_in_backend<Stored>(config).in_compactions);
  EXPECT_FALSE(detail::expiry_in_backend<Stored>(config).in_full_snapshots);
  config.cleanup_in_rocksdb_compact_filter = false;
  config.cleanup_full_snapshot = true;
  config.rocksdb_periodic_compaction = DurationMs(5'000);
  EXPECT_FALSE(detail::expiry_in_backend<Stored>(config).in_compactions);
  EXPECT_TRUE(detail::expiry_in_backend<Stored>(config).in_full_snapshots);
  EXPECT_EQ(detail::expiry_in_backend<Stored>(config).compaction_period, DurationMs(5'000));
}

}  // namespace
}  // namespace weir::state
