#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "event.h"

namespace crash {

/// What is wrong with an output, counted record by record.
struct Faults {
  std::int64_t seen = 0;
  std::int64_t lost = 0;        ///< known at the end only
  std::int64_t duplicated = 0;
  std::int64_t reordered = 0;   ///< came after a later record of its key
  std::int64_t wrong = 0;       ///< a value the model does not give, or a line that is none

  bool none() const { return lost + duplicated + reordered + wrong == 0; }
  std::string to_string() const;
};

/// The model: computes every result again in plain C++, without the engine, and judges an output
/// against it while it grows. Thread-safe.
///
/// Invariant looked after: what was added so far is, per key, a prefix of the expected sequence.
class Oracle {
 public:
  enum class Values {
    kRunning,  ///< pipelines with state: `total` is the sum so far
    kOwn       ///< pipelines without: `total` is the event's own value
  };

  /// `records`: at most so many; see limit().
  Oracle(std::uint64_t seed, std::uint32_t keys, std::uint64_t records,
         Values values = Values::kRunning);

  /// The next record of the output, as a reader of it sees it.
  void add(const Total& result);
  /// A record of the output that is no result at all.
  void add_garbage();
  std::int64_t seen() const;
  /// The input turned out to have only the first `records` events.
  void limit(std::uint64_t records);
  std::int64_t expected() const;
  /// Faults so far; a hole counts as soon as a later record of its key was seen.
  Faults so_far() const;
  /// Faults of the whole output.
  Faults at_end() const;

 private:
  struct OfKey {
    std::vector<std::int64_t> totals;  ///< expected total after record i
    std::int64_t next = 0;
    std::set<std::int64_t> skipped;
  };

  mutable std::mutex mutex_;
  std::vector<OfKey> keys_;
  std::int64_t expected_ = 0;
  Faults faults_;
};

/// The same for the windows of the input: each exactly once, with exactly its values.
class WindowOracle {
 public:
  WindowOracle(std::uint64_t seed, std::uint32_t keys, std::uint64_t records);
  void add(const WindowTotal& result);
  Faults at_end() const;

 private:
  using Id = std::pair<std::uint32_t, std::int64_t>;
  std::map<Id, WindowTotal> expected_;
  std::set<Id> found_;
  Faults faults_;
};

}  // namespace crash
