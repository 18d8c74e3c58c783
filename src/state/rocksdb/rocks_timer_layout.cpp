#include "state/rocksdb/rocks_timer_layout.h"

#include <algorithm>
#include <memory>

#include "state/rocksdb/rocks_key.h"
#include "state/rocksdb/rocks_timer_queue.h"
#include "state/rocksdb/sorted_run.h"
#include "state/timestamp_set.h"
#include "weir/codec.h"

namespace weir::state {
namespace {

Error malformed() { return {ErrorCode::kCorruption, "a malformed timer in RocksDB"}; }

/// Timers in their new form.
class NewTimers {
 public:
  void add_set(std::uint32_t key_group, StateNamespace ns, std::string_view key,
               TimersOfGroup::Set& set) {
    add(key_group, ns, key, set.hash, TimersOfGroup::encode(set));
  }
  void add_by_time(std::uint32_t key_group, const TimerByTime& timer, std::uint32_t hash) {
    std::string key;
    timer.encode(key);
    std::string encoded;
    Encoder out(encoded);
    Codec<std::string>::encode(key, out);
    add(key_group, RocksTimerQueue::bucket_of(timer.timestamp), encoded, hash,
        std::string(1, '\0'));
  }
  Status bring_down(RocksStore& store, StoredRocksState& state) {
    std::vector<RocksStore::SortedFile> files;
    WEIR_TRY(run_.write(store, state.families, files));
    WEIR_TRY(store.ingest(files));
    state.namespaces.clear();
    for (const auto& [ns, counts] : counts_) {
      state.namespaces.push_back({ns, counts.all()});
    }
    return {};
  }

 private:
  void add(std::uint32_t key_group, StateNamespace ns, std::string_view key, std::uint32_t hash,
           const std::string& value) {
    std::string stored_key;
    append_rocks_prefix(stored_key, key_group, ns);
    stored_key += key;
    std::string stored_value;
    Encoder(stored_value).raw(hash);
    stored_value += value;
    run_.add(stored_key, stored_value);
    counts_[ns].add(key_group, 1);
  }

  SortedRun run_;
  std::map<StateNamespace, GroupCounts> counts_;
};

}  // namespace

Status TimersOfGroup::read(rocksdb::Iterator& at, std::uint32_t key_group) {
  const std::string begin = rocks_group_begin(key_group);
  for (at.Seek(begin); at.Valid() && at.key().starts_with(begin); at.Next()) {
    RocksKey stored;
    const std::string_view value = view_of(at.value());
    std::string key;
    TimerByTime timer;
    if (!RocksKey::parse(view_of(at.key()), stored) || value.size() < kRocksValuePrefix) {
      return malformed();
    }
    Decoder in(stored.key);
    Codec<std::string>::decode(in, key);
    if (!in.exhausted() || !TimerByTime::parse(key, timer)) {
      return malformed();
    }
    Set& set = sets[{timer.ns, std::string(timer.key)}];
    set.hash = hash_of_rocks_value(value);
    set.timestamps.push_back(timer.timestamp);
  }
  return at.status().ok() ? Status() : Status(Error{ErrorCode::kIo, at.status().ToString()});
}

std::string TimersOfGroup::encode(Set& set) {
  std::sort(set.timestamps.begin(), set.timestamps.end());
  std::string bytes;
  Encoder out(bytes);
  out.varint(set.timestamps.size());
  for (const std::int64_t timestamp : set.timestamps) {
    out.raw(timestamp);
  }
  return bytes;
}

Status rewrite_timers(RocksStore& store, StoredRocksState& state, RocksLayout layout,
                      KeyGroupRange key_groups) {
  const std::vector<RocksStore::Family*> old = std::exchange(state.families, {});
  state.layout = layout;
  WEIR_TRY(fill_families(store, state, key_groups));
  NewTimers timers;
  for (RocksStore::Family* family : old) {
    rocksdb::ReadOptions how;
    how.fill_cache = false;
    const std::unique_ptr<rocksdb::Iterator> at(store.db().NewIterator(how, family->handle));
    for (int group = family->key_groups.first; group <= family->key_groups.last; ++group) {
      const auto key_group = static_cast<std::uint32_t>(group);
      if (layout == RocksLayout::kAsInStateFiles) {
        TimersOfGroup of_group;
        WEIR_TRY(of_group.read(*at, key_group));
        for (auto& [id, set] : of_group.sets) {
          timers.add_set(key_group, id.first, id.second, set);
        }
        continue;
      }
      const std::string begin = rocks_group_begin(key_group);
      for (at->Seek(begin); at->Valid() && at->key().starts_with(begin); at->Next()) {
        RocksKey stored;
        const std::string_view value = view_of(at->value());
        TimestampSet timestamps;
        if (!RocksKey::parse(view_of(at->key()), stored) || value.size() < kRocksValuePrefix) {
          return malformed();
        }
        Decoder in(value.substr(kRocksValuePrefix));
        Codec<TimestampSet>::decode(in, timestamps);
        if (!in.exhausted()) {
          return malformed();
        }
        for (const std::int64_t timestamp : timestamps) {
          timers.add_by_time(key_group, {timestamp, stored.ns, stored.key},
                             hash_of_rocks_value(value));
        }
      }
      if (!at->status().ok()) {
        return store.error(at->status(), "reading timers from");
      }
    }
  }
  WEIR_TRY(timers.bring_down(store, state));
  for (RocksStore::Family* family : old) {
    WEIR_TRY(store.drop_family(family));
  }
  return {};
}

}  // namespace weir::state
