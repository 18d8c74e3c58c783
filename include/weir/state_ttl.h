#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "weir/codec.h"
#include "weir/state_table.h"
#include "weir/time.h"

namespace weir {

/// Flink's StateTtlConfig: how long a state's values live. Lists and maps forget element by
/// element, entry by entry. Times are processing times; how they are configured is not part of a
/// checkpoint, whether they are is: 8 bytes per value, element or entry.
///
///   context.value_state<Session>("session", {.ttl = std::chrono::hours(24)});
struct StateTtlConfig {
  enum class UpdateType {
    kOnCreateAndWrite,  ///< a value lives for `ttl` from its last change on
    kOnReadAndWrite,    ///< or from the last time it was read
  };
  enum class StateVisibility {
    kNeverReturnExpired,
    kReturnExpiredIfNotCleanedUp,  ///< for as long as nothing has removed it
  };

  DurationMs ttl{0};  ///< 0: values live for ever
  UpdateType update_type = UpdateType::kOnCreateAndWrite;
  StateVisibility state_visibility = StateVisibility::kNeverReturnExpired;
  /// Per record, so many values are looked at, in turn, and removed if they have expired, whether
  /// anybody reads them or not. 0: only what is read is removed.
  int cleanup_incrementally = 5;
  /// With state.backend.type rocksdb: compactions remove what has expired, and values are not
  /// looked at one by one.
  bool cleanup_in_rocksdb_compact_filter = true;
  /// Compactions come by what nobody changes so often. 0: never.
  DurationMs rocksdb_periodic_compaction = std::chrono::hours(30 * 24);
  /// Savepoints, and checkpoints that none builds upon, leave out what has expired. What is in use
  /// stays as it is.
  bool cleanup_full_snapshot = false;
};

namespace detail {

/// How a value with a time to live is stored. The value comes first: a pointer to it is one to
/// both.
template <class T>
struct Expiring {
  T value;
  TimestampMs last_access_ms;
};

}  // namespace detail

/// A schema of its own, so that a time to live may come and go when state is restored.
template <Encodable T>
struct Codec<detail::Expiring<T>> {
  static std::string schema() { return "expiring<" + Codec<T>::schema() + ">"; }
  static void encode(const detail::Expiring<T>& value, Encoder& out) {
    Codec<T>::encode(value.value, out);
    out.raw(value.last_access_ms);
  }
  static void decode(Decoder& in, detail::Expiring<T>& value) {
    Codec<T>::decode(in, value.value);
    value.last_access_ms = in.raw<TimestampMs>();
  }
};

namespace detail {

template <class T>
inline constexpr std::size_t kRawEncodedSize<Expiring<T>> =
    kRawEncodedSize<T> == 0 ? 0 : kRawEncodedSize<T> + sizeof(TimestampMs);

/// The rules for one state, and the processing time by which they are applied.
class TtlRule {
 public:
  TtlRule(const StateTtlConfig& config, TimestampMs now_ms) : now(now_ms), config_(config) {}

  /// Whoever sets the current key, or hands a batch of records on, keeps it up to date.
  TimestampMs now;

  bool is_expired(TimestampMs last_access_ms) const {
    return now >= kMinTimestamp + config_.ttl.count() &&
           last_access_ms <= now - config_.ttl.count();
  }
  template <class T>
  bool is_expired(const Expiring<T>& value) const {
    return is_expired(value.last_access_ms);
  }
  bool is_refreshed_by_reads() const {
    return config_.update_type == StateTtlConfig::UpdateType::kOnReadAndWrite;
  }
  bool hides_expired() const {
    return config_.state_visibility == StateTtlConfig::StateVisibility::kNeverReturnExpired;
  }
  int cleanup_incrementally() const { return config_.cleanup_incrementally; }

 private:
  const StateTtlConfig config_;
};

template <class T>
Expiry expiry_of(const Expiring<T>& value, const TtlRule& rule) {
  return rule.is_expired(value) ? Expiry::kAll : Expiry::kNothing;
}
inline Expiry expiry_of(std::size_t expired, std::size_t all) {
  return expired == 0 ? Expiry::kNothing : expired == all ? Expiry::kAll : Expiry::kSome;
}
template <class T>
Expiry expiry_of(const std::vector<Expiring<T>>& list, const TtlRule& rule) {
  std::size_t expired = 0;
  for (const Expiring<T>& element : list) {
    expired += rule.is_expired(element) ? 1 : 0;
  }
  return expiry_of(expired, list.size());
}
template <class K, class V, class Hash>
Expiry expiry_of(const std::unordered_map<K, Expiring<V>, Hash>& map, const TtlRule& rule) {
  std::size_t expired = 0;
  for (const auto& entry : map) {
    expired += rule.is_expired(entry.second) ? 1 : 0;
  }
  return expiry_of(expired, map.size());
}

template <class T>
void remove_expired(Expiring<T>& /*value*/, const TtlRule& /*rule*/) {}  // all or nothing
template <class T>
void remove_expired(std::vector<Expiring<T>>& list, const TtlRule& rule) {
  std::erase_if(list, [&](const Expiring<T>& element) { return rule.is_expired(element); });
}
template <class K, class V, class Hash>
void remove_expired(std::unordered_map<K, Expiring<V>, Hash>& map, const TtlRule& rule) {
  std::erase_if(map, [&](const auto& entry) { return rule.is_expired(entry.second); });
}

/// ValueExpiry::of; what does not decode has not expired.
template <class Stored>
Expiry encoded_expiry(std::string_view encoded, const TtlRule& rule, std::string& rest,
                      const Stored* /*type*/) {
  Stored stored{};
  Decoder in(encoded);
  Codec<Stored>::decode(in, stored);
  const Expiry expiry = in.exhausted() ? expiry_of(stored, rule) : Expiry::kNothing;
  if (expiry == Expiry::kSome) {
    remove_expired(stored, rule);
    rest.clear();
    Encoder out(rest);
    Codec<Stored>::encode(stored, out);
  }
  return expiry;
}
/// The time comes last: the value need not be decoded.
template <class T>
Expiry encoded_expiry(std::string_view encoded, const TtlRule& rule, std::string& /*rest*/,
                      const Expiring<T>* /*type*/) {
  if (encoded.size() < sizeof(TimestampMs)) {
    return Expiry::kNothing;
  }
  Decoder in(encoded.substr(encoded.size() - sizeof(TimestampMs)));
  return rule.is_expired(in.raw<TimestampMs>()) ? Expiry::kAll : Expiry::kNothing;
}

/// What a backend may do by itself for values that are stored as `Stored`.
template <class Stored>
ValueExpiry expiry_in_backend(const StateTtlConfig& config) {
  if constexpr (Encodable<Stored>) {
    const auto of = [config](std::string_view encoded, TimestampMs now, std::string& rest) {
      const TtlRule rule(config, now);
      return encoded_expiry(encoded, rule, rest, static_cast<const Stored*>(nullptr));
    };
    return {of, config.cleanup_in_rocksdb_compact_filter, config.rocksdb_periodic_compaction,
            config.cleanup_full_snapshot};
  } else {
    return {};  // The state's declaration fails to compile, and says why.
  }
}

/// Removes what has expired from one table, a few entries at a time.
class TtlCleaner {
 public:
  virtual ~TtlCleaner() = default;
  /// `records` were processed at `now`.
  virtual void on_records(std::size_t records, TimestampMs now) = 0;

 protected:
  /// A scan visits a few hundred entries at least.
  static constexpr std::size_t kEntriesPerScan = 256;
};

template <class K, class Stored>
class TableTtlCleaner final : public TtlCleaner {
 public:
  TableTtlCleaner(StateTable& table, std::shared_ptr<TtlRule> rule)
      : table_(table), rule_(std::move(rule)) {}

  void on_records(std::size_t records, TimestampMs now) override {
    rule_->now = now;
    if (table_.removes_expired()) {
      return;
    }
    credit_ += records * static_cast<std::size_t>(rule_->cleanup_incrementally());
    if (credit_ >= kEntriesPerScan) {
      clean(std::exchange(credit_, 0));
    }
  }

 private:
  struct Found {
    K key;
    std::uint32_t hash;
    Expiry expiry;
  };

  void clean(std::size_t entries) {
    found_.clear();
    const auto look = [this](std::size_t count, const void* const* keys,
                             const std::uint32_t* hashes, const void* const* values) {
      for (std::size_t i = 0; i < count; ++i) {
        const Expiry expiry = expiry_of(*static_cast<const Stored*>(values[i]), *rule_);
        if (expiry != Expiry::kNothing) {
          found_.push_back({*static_cast<const K*>(keys[i]), hashes[i], expiry});
        }
      }
    };
    if (!table_.scan(kNoNamespace, position_, entries, look)) {
      position_ = {};
    }
    for (const Found& found : found_) {
      if (found.expiry == Expiry::kAll) {
        table_.erase(kNoNamespace, &found.key, found.hash);
      } else if (void* value = table_.find_for_update(kNoNamespace, &found.key, found.hash)) {
        remove_expired(*static_cast<Stored*>(value), *rule_);
      }
    }
  }

  StateTable& table_;
  const std::shared_ptr<TtlRule> rule_;
  StateTable::ScanPosition position_;
  std::size_t credit_ = 0;
  std::vector<Found> found_;
};

/// The same of a state of maps whose entries are kept one by one.
template <class Entry>
class MapTtlCleaner final : public TtlCleaner {
 public:
  MapTtlCleaner(MapTable& table, std::shared_ptr<TtlRule> rule)
      : table_(table), rule_(std::move(rule)) {}

  void on_records(std::size_t records, TimestampMs now) override {
    rule_->now = now;
    if (table_.removes_expired()) {
      return;
    }
    credit_ += records * static_cast<std::size_t>(rule_->cleanup_incrementally());
    if (credit_ >= kEntriesPerScan &&
        !table_.clean(position_, std::exchange(credit_, 0), [this](const void* value) {
          return rule_->is_expired(*static_cast<const Entry*>(value));
        })) {
      position_ = {};
    }
  }

 private:
  MapTable& table_;
  const std::shared_ptr<TtlRule> rule_;
  StateTable::ScanPosition position_;
  std::size_t credit_ = 0;
};

}  // namespace detail
}  // namespace weir
