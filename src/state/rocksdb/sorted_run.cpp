#include "state/rocksdb/sorted_run.h"

#include <algorithm>
#include <memory>

#include <rocksdb/sst_file_writer.h>

namespace weir::state {
namespace {

std::uint32_t key_group_of_key(std::string_view key) {
  return static_cast<std::uint32_t>(static_cast<unsigned char>(key[0]) << 8 |
                                    static_cast<unsigned char>(key[1]));
}

/// Up to 8 bytes as a number that compares as they do.
std::uint64_t big_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  std::memcpy(&value, bytes.data(), std::min<std::size_t>(bytes.size(), 8));
  return __builtin_bswap64(value);
}

}  // namespace

void SortedRun::sort() {
  // Most states have one namespace, and then what tells keys apart comes behind it.
  bool is_one_namespace = true;
  for (const Entry& entry : entries_) {
    is_one_namespace =
        is_one_namespace && key_of(entry).substr(2, 8) == key_of(entries_.front()).substr(2, 8);
  }
  for (Entry& entry : entries_) {
    const std::string_view key = key_of(entry);
    entry.prefix = is_one_namespace ? std::uint64_t{key_group_of_key(key)} << 48 |
                                          big_endian(key.substr(kRocksKeyPrefix)) >> 16
                                    : big_endian(key);
  }
  std::sort(entries_.begin(), entries_.end(), [this](const Entry& a, const Entry& b) {
    if (a.prefix != b.prefix) {
      return a.prefix < b.prefix;
    }
    const int order = key_of(a).compare(key_of(b));
    return order != 0 ? order < 0 : a.value_bytes != kErased && b.value_bytes == kErased;
  });
  // What was dropped may have come back: the entry comes first and stays.
  entries_.erase(
      std::unique(entries_.begin(), entries_.end(),
                  [this](const Entry& a, const Entry& b) { return key_of(a) == key_of(b); }),
      entries_.end());
}

Status SortedRun::expand_dropped(RocksStore& store,
                                 const std::vector<RocksStore::Family*>& families) {
  for (const Dropped& dropped : dropped_) {
    for (RocksStore::Family* family : families) {
      rocksdb::ReadOptions how;
      how.fill_cache = false;
      const std::unique_ptr<rocksdb::Iterator> at(store.db().NewIterator(how, family->handle));
      for (const std::uint32_t key_group : dropped.key_groups) {
        if (!family->key_groups.contains(static_cast<int>(key_group))) {
          continue;
        }
        std::string prefix;
        append_rocks_prefix(prefix, key_group, dropped.ns);
        for (at->Seek(prefix); at->Valid() && at->key().starts_with(prefix); at->Next()) {
          add_erased(view_of(at->key()));
        }
      }
      if (!at->status().ok()) {
        return store.error(at->status(), "reading");
      }
    }
  }
  return {};
}

Status SortedRun::write(RocksStore& store, const std::vector<RocksStore::Family*>& families,
                        std::vector<RocksStore::SortedFile>& files) {
  WEIR_TRY(expand_dropped(store, families));
  sort();
  std::size_t next = 0;
  for (RocksStore::Family* family : families) {
    std::unique_ptr<rocksdb::SstFileWriter> writer;
    std::string path;
    const auto begin = [&]() -> rocksdb::Status {
      if (writer != nullptr) {
        return rocksdb::Status::OK();
      }
      path = store.next_sorted_path();
      writer = std::make_unique<rocksdb::SstFileWriter>(
          rocksdb::EnvOptions(), store.sorted_file_options(), family->handle);
      return writer->Open(path);
    };
    rocksdb::Status status;
    for (; next < entries_.size() && status.ok(); ++next) {
      const Entry& entry = entries_[next];
      const std::string_view key = key_of(entry);
      if (!family->key_groups.contains(static_cast<int>(key_group_of_key(key)))) {
        break;
      }
      status = begin();
      if (!status.ok()) {
        break;
      }
      if (entry.value_bytes == kErased) {
        status = writer->Delete(slice_of(key));
      } else {
        status = writer->Put(slice_of(key), slice_of(std::string_view(bytes_).substr(
                                                entry.at + entry.key_bytes, entry.value_bytes)));
      }
    }
    if (writer != nullptr && status.ok()) {
      status = writer->Finish();
    }
    if (!status.ok()) {
      return store.error(status, "writing a sorted file for");
    }
    if (writer != nullptr) {
      files.push_back({family, path});
    }
  }
  WEIR_CHECK_MESSAGE(next == entries_.size(), "an entry of no family's key group");
  return {};
}

}  // namespace weir::state
