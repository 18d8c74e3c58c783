#include "record/batch_codec.h"

#include <string>

#include <gtest/gtest.h>

namespace weir {
namespace {

struct Plain {
  std::int64_t a = 0;
  double b = 0;
};
struct Named {
  std::string name;
  std::int32_t count = 0;
};

template <class T>
std::string encoded(const Batch& batch) {
  std::string bytes;
  Encoder out(bytes);
  encode_batch(batch, out);
  return bytes;
}

TEST(BatchCodec, PlainRecordsComeBackWithTimesAndHashes) {
  BatchPtr batch = Batch::make<Plain>();
  for (int i = 0; i < 5; ++i) {
    batch->key_hashes()[i] = static_cast<std::uint32_t>(77 + i);
    batch->push_back(Plain{i, i * 0.5}, 1000 + i);
  }
  batch->set_keyed(true);
  const std::string bytes = encoded<Plain>(*batch);
  Decoder in(bytes);
  const BatchPtr back = decode_batch(in, type_ops<Plain>());
  ASSERT_NE(back, nullptr);
  EXPECT_TRUE(in.exhausted());
  ASSERT_EQ(back->size(), 5U);
  EXPECT_TRUE(back->is_keyed());
  EXPECT_EQ(back->records<Plain>()[4].a, 4);
  EXPECT_EQ(back->timestamps()[4], 1004);
  EXPECT_EQ(back->key_hashes()[4], 81U);
}

TEST(BatchCodec, RecordsWithStringsComeBackAndEveryTruncationIsRefused) {
  BatchPtr batch = Batch::make<Named>();
  batch->push_back(Named{"first", 1}, 1);
  batch->push_back(Named{std::string(300, 'x'), 2}, 2);
  const std::string bytes = encoded<Named>(*batch);
  Decoder in(bytes);
  const BatchPtr back = decode_batch(in, type_ops<Named>());
  ASSERT_NE(back, nullptr);
  EXPECT_FALSE(back->is_keyed());
  EXPECT_EQ(back->records<Named>()[1].name.size(), 300U);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    Decoder cut(std::string_view(bytes).substr(0, size));
    EXPECT_EQ(decode_batch(cut, type_ops<Named>()), nullptr) << size;
    EXPECT_FALSE(cut.ok());
  }
}

TEST(BatchCodec, AHugeCountAllocatesNothing) {
  std::string bytes;
  Encoder out(bytes);
  out.varint(1ULL << 60);
  out.raw(std::uint8_t{0});
  bytes.resize(200);
  Decoder in(bytes);
  EXPECT_EQ(decode_batch(in, type_ops<Plain>()), nullptr);
}

}  // namespace
}  // namespace weir
