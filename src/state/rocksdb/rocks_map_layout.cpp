#include "state/rocksdb/rocks_map_layout.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "base/planted_bug.h"
#include "state/rocksdb/rocks_key.h"
#include "state/rocksdb/sorted_run.h"
#include "weir/codec.h"
#include "weir/key_hash.h"

namespace weir::state {
namespace {

/// Entries are brought down in portions of about so much.
constexpr std::size_t kPortionBytes = std::size_t{64} << 20;
constexpr std::size_t kLengthBytes = sizeof(std::uint32_t);

Error malformed() { return {ErrorCode::kCorruption, "a malformed entry in RocksDB"}; }

/// Entries in their new form.
class NewEntries {
 public:
  NewEntries(RocksStore& store, StoredRocksState& state, const MapParts* parts)
      : store_(store), state_(state) {
    if (parts != nullptr) {
      splitter_.emplace(*parts);
    }
  }

  /// As state files have it.
  Status add(const WholeReader::Entry& entry) {
    if (!splitter_.has_value()) {
      return add(entry, entry.key, entry.value);
    }
    return splitter_->split(entry.value, [&](std::string_view map_key, std::string_view value) {
      std::string key;
      MapEntryKey::append(entry.key, map_key, key);
      return add(entry, key, value);
    });
  }
  Status finish() {
    WEIR_TRY(bring_down());
    state_.namespaces.clear();
    for (const auto& [ns, counts] : counts_) {
      state_.namespaces.push_back({ns, counts.all()});
    }
    return {};
  }

 private:
  Status add(const WholeReader::Entry& of, std::string_view key, std::string_view value) {
    std::string stored_key;
    append_rocks_prefix(stored_key, of.key_group, of.ns);
    stored_key += key;
    std::string stored_value;
    Encoder(stored_value).raw(of.hash);
    stored_value += value;
    run_.add(stored_key, stored_value);
    counts_[of.ns].add(of.key_group, 1);
    return run_.bytes() < kPortionBytes ? Status() : bring_down();
  }
  Status bring_down() {
    std::vector<RocksStore::SortedFile> files;
    SortedRun portion = std::exchange(run_, SortedRun());
    WEIR_TRY(portion.write(store_, state_.families, files));
    return store_.ingest(files);
  }

  RocksStore& store_;
  StoredRocksState& state_;
  std::optional<MapSplitter> splitter_;
  SortedRun run_;
  std::map<StateNamespace, GroupCounts> counts_;
};

}  // namespace

// --- Keys and values ---------------------------------------------------------------------------

MapEntryKey::MapEntryKey(std::string whole) : bytes(std::move(whole)), mix(key_hash(bytes)) {}

bool MapEntryKey::is_of(std::string_view key) const {
  Parts parts;
  return split(bytes, parts) && parts.key == key;
}

void MapEntryKey::append(std::string_view key, std::string_view map_key, std::string& out) {
  Encoder encoder(out);
  encoder.bytes(key.data(), key.size());
  encoder.bytes(map_key.data(), map_key.size());
  encoder.raw(static_cast<std::uint32_t>(planted_bug("S13") ? key.size() % 256 : key.size()));
}

bool MapEntryKey::split(std::string_view bytes, Parts& out) {
  if (bytes.size() < kLengthBytes) {
    return false;
  }
  Decoder in(bytes.substr(bytes.size() - kLengthBytes));
  const std::size_t key_bytes = in.raw<std::uint32_t>();
  bytes.remove_suffix(kLengthBytes);
  if (key_bytes > bytes.size()) {
    return false;
  }
  out = {bytes.substr(0, key_bytes), bytes.substr(key_bytes)};
  return true;
}

Status MapSplitter::split(std::string_view map, const Use& use) {
  Decoder in(map);
  const auto take = [&](const TypeOps& ops, void* scratch) {
    const std::size_t at = map.size() - in.remaining();
    ops.decode(in, scratch);
    return map.substr(at, map.size() - in.remaining() - at);
  };
  for (std::size_t n = in.count(); n > 0 && in.ok(); --n) {
    const std::string_view key = take(*parts_.key, key_.get());
    const std::string_view value = take(*parts_.value, value_.get());
    if (in.ok()) {
      WEIR_TRY(use(key, value));
    }
  }
  return in.exhausted() ? Status() : Status(malformed());
}

// --- Whole maps --------------------------------------------------------------------------------

WholeReader::WholeReader(rocksdb::Iterator& at, KeyGroupRange key_groups, RocksLayout layout,
                         RocksFilter::ExpiryNow expiry)
    : at_(at),
      end_(rocks_group_begin(static_cast<std::uint32_t>(key_groups.last) + 1)),
      layout_(layout),
      expiry_(std::move(expiry)) {
  at_.Seek(rocks_group_begin(static_cast<std::uint32_t>(key_groups.first)));
}

Result<bool> WholeReader::next(Entry& entry) {
  bool is_left_out = true;
  while (is_left_out) {
    WEIR_ASSIGN(const bool is_there, read(entry, is_left_out));
    if (!is_there) {
      return false;
    }
  }
  return true;
}

std::optional<std::string_view> WholeReader::unexpired(std::string_view value) {
  switch (expiry_ == nullptr ? Expiry::kNothing : expiry_(value, rest_)) {
    case Expiry::kNothing:
      return value;
    case Expiry::kSome:
      return rest_;
    case Expiry::kAll:
      break;
  }
  return std::nullopt;
}

Result<bool> WholeReader::read(Entry& entry, bool& is_left_out) {
  is_left_out = false;
  // Entries are views of where the iterator stands; behind a map it stands already.
  if (is_started_ && layout_ != RocksLayout::kMapEntries) {
    at_.Next();
  }
  is_started_ = true;
  if (!at_.Valid() || at_.key().compare(end_) >= 0) {
    return at_.status().ok() ? Result<bool>(false)
                             : Result<bool>(Error{ErrorCode::kIo, at_.status().ToString()});
  }
  RocksKey stored;
  const std::string_view value = view_of(at_.value());
  if (!RocksKey::parse(view_of(at_.key()), stored) || value.size() < kRocksValuePrefix) {
    return malformed();
  }
  entry = {stored.key_group, stored.ns, hash_of_rocks_value(value), stored.key,
           value.substr(kRocksValuePrefix)};
  if (layout_ == RocksLayout::kMapEntries) {
    WEIR_ASSIGN(const bool is_left, gather(entry));
    is_left_out = !is_left;
  } else if (const auto left = unexpired(entry.value)) {
    entry.value = *left;
  } else {
    is_left_out = true;
  }
  return true;
}

Result<bool> WholeReader::gather(Entry& map) {
  std::string prefix;
  append_rocks_prefix(prefix, map.key_group, map.ns);
  MapEntryKey::Parts parts;
  if (!MapEntryKey::split(map.key, parts)) {
    return malformed();
  }
  key_ = parts.key;
  prefix += key_;
  std::uint64_t entries = 0;
  std::string body;
  for (; at_.Valid() && at_.key().starts_with(prefix); at_.Next()) {
    const std::string_view value = view_of(at_.value());
    if (!MapEntryKey::split(view_of(at_.key()).substr(kRocksKeyPrefix), parts) ||
        parts.key.size() != key_.size() || value.size() < kRocksValuePrefix) {
      return malformed();
    }
    const auto left = unexpired(value.substr(kRocksValuePrefix));
    if (!left.has_value()) {
      continue;
    }
    ++entries;
    body += parts.map_key;
    body += *left;
    if (body.size() > kItemBytesMax) {
      return Error{ErrorCode::kUser, "the map of one key takes more than " +
                                         std::to_string(kItemBytesMax) +
                                         " bytes, which is the most that a state file holds"};
    }
  }
  if (!at_.status().ok()) {
    return Error{ErrorCode::kIo, at_.status().ToString()};
  }
  value_.clear();
  Encoder(value_).varint(entries);
  value_ += body;
  map.key = key_;
  map.value = value_;
  return entries != 0;
}

// --- Rewriting ---------------------------------------------------------------------------------

Status rewrite_entries(RocksStore& store, StoredRocksState& state, const StateSchema& wanted,
                       const Rewriting& how, KeyGroupRange key_groups) {
  const TimestampMs now_ms = system_clock().wall_ms();
  const std::vector<RocksStore::Family*> old = std::exchange(state.families, {});
  const RocksLayout old_layout = state.layout;
  state.schema = wanted;
  state.layout = how.parts == nullptr ? RocksLayout::kAsInStateFiles : RocksLayout::kMapEntries;
  WEIR_TRY(fill_families(store, state, key_groups));
  NewEntries entries(store, state, how.parts);
  for (RocksStore::Family* family : old) {
    rocksdb::ReadOptions reading;
    reading.fill_cache = false;
    const std::unique_ptr<rocksdb::Iterator> at(store.db().NewIterator(reading, family->handle));
    WholeReader reader(*at, family->key_groups, old_layout);
    WholeReader::Entry entry;
    const auto rewrite_next = [&]() -> Result<bool> {
      WEIR_ASSIGN(const bool is_there, reader.next(entry));
      if (!is_there) {
        return false;
      }
      std::string migrated;
      if (how.migration != nullptr) {
        Decoder in(entry.value);
        Encoder out(migrated);
        if (!how.migration->apply(in, out, now_ms) || !in.exhausted()) {
          return Error{ErrorCode::kCorruption, "malformed value"};
        }
        entry.value = migrated;
      }
      WEIR_TRY(entries.add(entry));
      return true;
    };
    for (bool goes_on = true; goes_on;) {
      const Result<bool> rewritten = rewrite_next();
      if (!rewritten.ok()) {
        return rewritten.error().with_context("state '" + wanted.name + "'");
      }
      goes_on = rewritten.value();
    }
  }
  WEIR_TRY(entries.finish());
  for (RocksStore::Family* family : old) {
    WEIR_TRY(store.drop_family(family));
  }
  return {};
}

}  // namespace weir::state
