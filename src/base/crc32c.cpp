#include "base/crc32c.h"

#include <array>
#include <cstring>

#include "weir/check.h"

#if defined(__SSE4_2__)
#include <nmmintrin.h>
#endif

namespace weir {
namespace {

constexpr std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) {
      value = (value & 1U) != 0 ? (value >> 1) ^ 0x82f63b78U : value >> 1;
    }
    table[i] = value;
  }
  return table;
}
constexpr auto kTable = make_table();

/// What some zero bytes make of each bit of a state: CRCs are linear.
using Shift = std::array<std::uint32_t, 32>;

constexpr Shift twice(const Shift& shift) {
  Shift result{};
  for (std::size_t bit = 0; bit < shift.size(); ++bit) {
    for (std::size_t i = 0; i < shift.size(); ++i) {
      result[bit] ^= (shift[bit] >> i & 1U) != 0 ? shift[i] : 0;
    }
  }
  return result;
}

constexpr Shift shift_of_one_byte() {
  Shift of_bit{};
  for (std::size_t bit = 0; bit < of_bit.size(); ++bit) {
    const std::uint32_t state = std::uint32_t{1} << bit;
    of_bit[bit] = (state >> 8) ^ kTable[state & 0xffU];
  }
  return of_bit;
}

/// [i]: what 2^i zero bytes make of a state.
std::array<Shift, 40> make_shifts() {
  std::array<Shift, 40> shifts{};
  shifts[0] = shift_of_one_byte();
  for (std::size_t i = 1; i < shifts.size(); ++i) {
    shifts[i] = twice(shifts[i - 1]);
  }
  return shifts;
}

#if defined(__SSE4_2__)

/// The instruction takes three cycles, but one can begin in each: three lanes are three times as
/// fast as one. (Debian has no library that does this.)
constexpr std::size_t kLaneBytes = 4096;

/// [i][b]: what kLaneBytes zero bytes make of the state b << 8 * i.
constexpr std::array<std::array<std::uint32_t, 256>, 4> make_shift() {
  Shift of_bit = shift_of_one_byte();
  for (std::size_t bytes = 1; bytes < kLaneBytes; bytes *= 2) {
    of_bit = twice(of_bit);
  }
  std::array<std::array<std::uint32_t, 256>, 4> shift{};
  for (std::size_t byte = 0; byte < shift.size(); ++byte) {
    for (std::size_t value = 0; value < 256; ++value) {
      for (std::size_t bit = 0; bit < 8; ++bit) {
        shift[byte][value] ^= (value >> bit & 1U) != 0 ? of_bit[8 * byte + bit] : 0;
      }
    }
  }
  return shift;
}
constexpr auto kShift = make_shift();

std::uint32_t shifted(std::uint64_t state) {
  return kShift[0][state & 0xffU] ^ kShift[1][state >> 8 & 0xffU] ^ kShift[2][state >> 16 & 0xffU] ^
         kShift[3][state >> 24 & 0xffU];
}

std::uint64_t word_at(const char* position) {
  std::uint64_t word;
  std::memcpy(&word, position, sizeof word);
  return word;
}

#endif

}  // namespace

#if defined(__SSE4_2__)

std::uint32_t crc32c(std::string_view data, std::uint32_t crc) {
  std::uint64_t state = static_cast<std::uint32_t>(~crc);
  const char* position = data.data();
  std::size_t left = data.size();
  for (; left >= 3 * kLaneBytes; left -= 3 * kLaneBytes, position += 2 * kLaneBytes) {
    std::uint64_t second = 0;
    std::uint64_t third = 0;
    for (const char* const end = position + kLaneBytes; position != end; position += 8) {
      state = _mm_crc32_u64(state, word_at(position));
      second = _mm_crc32_u64(second, word_at(position + kLaneBytes));
      third = _mm_crc32_u64(third, word_at(position + 2 * kLaneBytes));
    }
    state = shifted(shifted(state) ^ second) ^ third;
  }
  for (; left >= 8; left -= 8, position += 8) {
    state = _mm_crc32_u64(state, word_at(position));
  }
  auto tail = static_cast<std::uint32_t>(state);
  for (; left > 0; --left, ++position) {
    tail = _mm_crc32_u8(tail, static_cast<unsigned char>(*position));
  }
  return ~tail;
}

#else

std::uint32_t crc32c(std::string_view data, std::uint32_t crc) {
  std::uint32_t state = ~crc;
  for (const char c : data) {
    state = (state >> 8) ^ kTable[(state ^ static_cast<unsigned char>(c)) & 0xffU];
  }
  return ~state;
}

#endif

std::uint32_t crc32c_of_both(std::uint32_t crc_a, std::uint32_t crc_b, std::uint64_t b_bytes) {
  static const std::array<Shift, 40> kShifts = make_shifts();
  WEIR_CHECK(b_bytes >> kShifts.size() == 0);
  for (std::size_t i = 0; b_bytes >> i != 0; ++i) {
    if ((b_bytes >> i & 1U) == 0) {
      continue;
    }
    std::uint32_t shifted = 0;
    for (std::size_t bit = 0; bit < kShifts[i].size(); ++bit) {
      shifted ^= (crc_a >> bit & 1U) != 0 ? kShifts[i][bit] : 0;
    }
    crc_a = shifted;
  }
  return crc_a ^ crc_b;
}

}  // namespace weir
