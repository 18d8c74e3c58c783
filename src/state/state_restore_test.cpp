// Values whose types know alone where they end, in states that differ from the stored ones.
#include <cstdint>
#include <string>

#include "state/test_support.h"
#include "weir/state_ttl.h"

namespace weir::state::test::restore_types {
struct Blob {
  std::string bytes;
  friend bool operator==(const Blob&, const Blob&) = default;
};
struct Tagged {
  std::int32_t tag = 0;
  Blob blob;
  friend bool operator==(const Tagged&, const Tagged&) = default;
};
}  // namespace weir::state::test::restore_types

template <>
struct weir::Codec<weir::state::test::restore_types::Blob> {
  using Blob = weir::state::test::restore_types::Blob;
  static std::string schema() { return "blob"; }
  static void encode(const Blob& value, Encoder& out) {
    out.varint(value.bytes.size());
    out.bytes(value.bytes.data(), value.bytes.size());
  }
  static void decode(Decoder& in, Blob& value) { value.bytes = in.view(in.count()); }
};

namespace weir::state::test {
namespace {

using namespace restore_types;

class StateRestoreTest : public ::testing::Test {
 protected:
  template <class V>
  RestoreFile stored(const StateTableDescriptor& descriptor, const V& value) {
    HeapBackend backend({"orders", 128, {0, 127}});
    StateTable& table = *value_or_fail(backend.open_table(descriptor));
    for (std::uint64_t key = 0; key < 100; ++key) {
      put(table, kNoNamespace, key, value);
    }
    return take_snapshot(backend, local_file_system(), directory_.file(std::to_string(files_++)));
  }
  /// The value of key 42, after all were restored.
  template <class V>
  V restored(const RestoreFile& from) {
    HeapBackend backend({"orders", 128, {0, 127}});
    EXPECT_TRUE(backend.restore(local_file_system(), {from}).ok());
    StateTable& table = *value_or_fail(backend.open_table(describe<std::uint64_t, V>("values")));
    EXPECT_EQ(table.size(kNoNamespace), 100U);
    const std::uint64_t key = 42;
    const void* value = table.find(kNoNamespace, &key, key_hash(key));
    EXPECT_NE(value, nullptr);
    return value == nullptr ? V() : *static_cast<const V*>(value);
  }

  TemporaryDirectory directory_;
  int files_ = 0;
};

// As an import by schema writes them: whoever knows no types gives every key and value its length.
TEST_F(StateRestoreTest, KeysThatWereStoredWithTheirLengthsLeaveValuesAsTheyAre) {
  TypeOps key = type_ops<std::uint64_t>();
  key.encodes_raw = false;
  const Tagged value{7, {"abc"}};
  const RestoreFile file = stored({"values", &key, &type_ops<Tagged>(), nullptr}, value);
  EXPECT_EQ(restored<Tagged>(file), value);
}

TEST_F(StateRestoreTest, ATimeToLiveComesAndGoesWhateverTheValueIs) {
  const Tagged value{7, {"abc"}};
  const auto expiring =
      restored<detail::Expiring<Tagged>>(stored(describe<std::uint64_t, Tagged>("values"), value));
  EXPECT_EQ(expiring.value, value);
  EXPECT_GT(expiring.last_access_ms, 0);
  EXPECT_EQ(restored<Tagged>(stored(describe<std::uint64_t, detail::Expiring<Tagged>>("values"),
                                    detail::Expiring<Tagged>{value, 5})),
            value);
}

}  // namespace
}  // namespace weir::state::test
