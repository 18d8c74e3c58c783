// A job that goes from one backend to the other and back, by savepoints, with random operations on
// each, against std::map. Equal state gives equal bytes, whichever of them wrote it.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "state/heap_model.h"
#include "state/rocksdb/rocks_model.h"

namespace weir::state::test {
namespace {

constexpr int kMaxParallelism = 128;
constexpr std::uint64_t kKeys = 4'000;

/// Goes on from `from` on a backend of its own; returns what is there then.
template <class Model, class Savepoint>
Savepoint go_on(Model& model, const Savepoint& from, int steps) {
  model.go_on_from(from, 0, kKeys, kMaxParallelism);
  // Before anything is changed: the same bytes that the other backend wrote.
  EXPECT_EQ(model.savepoint(static_cast<int>(from.files.size())).bytes(), from.bytes());
  model.operate(steps);
  return model.savepoint();
}

template <class K, class V>
void go_to_and_fro(std::uint64_t seed, int times) {
  const auto site = std::make_shared<ModelSite>();
  HeapModel<K, V> first(seed, seed % 2 == 0, site);
  first.run(kSteps / 4, kKeys, kMaxParallelism);
  ModelSavepoint<K, V> savepoint = first.savepoint();
  for (int i = 0; i < times && !::testing::Test::HasFailure(); ++i) {
    RocksModel<K, V> on_rocksdb(seed + 1 + static_cast<std::uint64_t>(i), site);
    savepoint = go_on(on_rocksdb, savepoint, kSteps / 8);
    HeapModel<K, V> on_heap(seed + 1000 + static_cast<std::uint64_t>(i), i % 2 == 0, site);
    savepoint = go_on(on_heap, savepoint, kSteps / 8);
  }
  EXPECT_EQ(site->counts.savepoints, 2 * times);
}

TEST(SavepointModel, EightByteKeysWithPlainValues) { go_to_and_fro<std::uint64_t, Sum>(31, 10); }
TEST(SavepointModel, StringKeysWithLists) {
  go_to_and_fro<std::string, std::vector<std::string>>(32, 5);
}
TEST(SavepointModel, SixByteKeys) { go_to_and_fro<Triple, Text>(33, 5); }

}  // namespace
}  // namespace weir::state::test
