#include "runtime/edge_sums.h"

#include <algorithm>
#include <array>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace weir::runtime {
namespace {

// Makes both halves large, so that their product is too. Any number of random bits.
constexpr std::uint64_t kOffset = 0x9E3779B97F4A7C15ULL;

/// The product of both halves: what one half holds decides what a change of the other one is worth.
/// Unlike a whole 64-bit multiplication it is one instruction for four records.
constexpr std::uint64_t fold(std::uint64_t x) { return (x & 0xFFFFFFFF) * (x >> 32); }

/// `tag`: key hash or content hash.
constexpr std::uint64_t hash_of(TimestampMs time, std::uint32_t tag) {
  const std::uint64_t both = static_cast<std::uint64_t>(time) + (std::uint64_t{tag} << 32);
  // The second time because the first product alone is linear in each half: regular exchanges
  // (the times of records 1 and 2, then of 3 and 4) could cancel each other out.
  return fold(fold(both + kOffset));
}

std::uint64_t sum_of(const TimestampMs* times, const std::uint32_t* tags, std::size_t size) {
  std::uint64_t sum = 0;
  std::size_t i = 0;
#if defined(__AVX2__)
  // The same as hash_of(). This runs twice for every record on its way, and compilers do not see
  // that 32-bit multiplications are enough.
  const __m256i offset = _mm256_set1_epi64x(static_cast<long long>(kOffset));
  const auto fold4 = [](__m256i x) { return _mm256_mul_epu32(x, _mm256_srli_epi64(x, 32)); };
  const auto hash4 = [&](std::size_t at) {
    const __m256i time = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(times + at));
    const __m256i tag =
        _mm256_cvtepu32_epi64(_mm_loadu_si128(reinterpret_cast<const __m128i*>(tags + at)));
    const __m256i both = _mm256_add_epi64(time, _mm256_slli_epi64(tag, 32));
    return fold4(fold4(_mm256_add_epi64(both, offset)));
  };
  __m256i sums = _mm256_setzero_si256();
  for (; i + 8 <= size; i += 8) {
    sums = _mm256_add_epi64(sums, _mm256_add_epi64(hash4(i), hash4(i + 4)));
  }
  alignas(32) std::array<std::uint64_t, 4> lanes;
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes.data()), sums);
  sum = lanes[0] + lanes[1] + lanes[2] + lanes[3];
#endif
  for (; i < size; ++i) {
    sum += hash_of(times[i], tags[i]);
  }
  return sum;
}

}  // namespace

void EdgeSums::add(const Batch& batch) {
  count += batch.size();
  if (batch.is_keyed()) {
    hash += sum_of(batch.timestamps(), batch.key_hashes(), batch.size());
    return;
  }
  constexpr std::size_t kChunk = 256;
  std::array<std::uint32_t, kChunk> tags{};
  for (std::size_t begin = 0; begin < batch.size(); begin += kChunk) {
    const std::size_t size = std::min(kChunk, batch.size() - begin);
    if (batch.type().content_hashes != nullptr) {
      batch.type().content_hashes(batch.record_at(begin), size, tags.data());
    }
    hash += sum_of(batch.timestamps() + begin, tags.data(), size);
  }
}

}  // namespace weir::runtime
