// The loop one would write on RocksDB itself: read, add, put, with the options of weir's backend.
// Usage: bench_rocksdb_hand keys updates zipf|uniform memory_mb. Prints one line of JSON.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/write_buffer_manager.h>
#include <unistd.h>

#include "keyed_workload.h"

namespace {

void check(const rocksdb::Status& status) {
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
    std::exit(1);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: bench_rocksdb_hand keys updates zipf|uniform memory_mb\n");
    return 2;
  }
  const std::uint64_t keys = std::strtoull(argv[1], nullptr, 10);
  const std::uint64_t updates = std::strtoull(argv[2], nullptr, 10);
  const std::size_t memory = std::strtoull(argv[4], nullptr, 10) << 20;
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("bench-rocksdb-" + std::to_string(::getpid()));

  rocksdb::Options options;
  options.create_if_missing = true;
  options.max_background_jobs = 2;
  options.max_open_files = -1;
  options.compression = rocksdb::kLZ4Compression;
  options.compaction_style = rocksdb::kCompactionStyleUniversal;
  options.level0_file_num_compaction_trigger = 8;
  options.compaction_options_universal.max_size_amplification_percent = 50;
  options.write_buffer_size = std::size_t{64} << 20;
  rocksdb::BlockBasedTableOptions table;
  constexpr int kShardBits = 3;  // As weir: the filter of a large file has to fit into a shard.
  table.block_cache = rocksdb::NewLRUCache(memory, kShardBits);
  table.format_version = 5;
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  // Write buffers count towards the same memory.
  options.write_buffer_manager =
      std::make_shared<rocksdb::WriteBufferManager>(memory / 2, table.block_cache);
  rocksdb::DB* raw = nullptr;
  check(rocksdb::DB::Open(options, path.string(), &raw));
  std::unique_ptr<rocksdb::DB> db(raw);
  rocksdb::WriteOptions write;
  write.disableWAL = true;

  std::uint64_t fold = 0;
  const auto update = [&](std::uint64_t key) {
    const rocksdb::Slice slice(reinterpret_cast<const char*>(&key), sizeof(key));
    bench::Total sum;
    rocksdb::PinnableSlice stored;
    const rocksdb::Status found =
        db->Get(rocksdb::ReadOptions(), db->DefaultColumnFamily(), slice, &stored);
    if (found.ok()) {
      std::memcpy(&sum, stored.data(), sizeof(sum));
    } else if (!found.IsNotFound()) {
      check(found);
    }
    sum.add(bench::amount_of(key));
    fold += sum.fold();
    check(db->Put(write, slice, rocksdb::Slice(reinterpret_cast<const char*>(&sum), sizeof(sum))));
  };
  for (std::uint64_t i = 0; i < keys; ++i) {
    const std::uint64_t key = bench::key_of(i);
    bench::Total sum;
    sum.add(bench::amount_of(key));
    fold += sum.fold();
    check(db->Put(write, rocksdb::Slice(reinterpret_cast<const char*>(&key), sizeof(key)),
                  rocksdb::Slice(reinterpret_cast<const char*>(&sum), sizeof(sum))));
  }
  bench::KeyStream stream(keys, std::strcmp(argv[3], "zipf") == 0);
  const bench::Stopwatch watch;
  for (std::uint64_t i = 0; i < updates; ++i) {
    update(stream.next());
  }
  bench::print_updates(watch, updates, fold);
  db.reset();
  std::filesystem::remove_all(path);
  return 0;
}
