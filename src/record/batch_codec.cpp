#include "record/batch_codec.h"

namespace weir {

void encode_batch(const Batch& batch, Encoder& out) {
  const TypeOps& type = batch.type();
  WEIR_CHECK_MESSAGE(type.encode != nullptr, type.name);
  const std::size_t size = batch.size();
  out.varint(size);
  out.raw(static_cast<std::uint8_t>(batch.is_keyed() ? 1 : 0));
  out.bytes(batch.timestamps(), size * sizeof(TimestampMs));
  if (batch.is_keyed()) {
    out.bytes(batch.key_hashes(), size * sizeof(std::uint32_t));
  }
  if (type.encodes_raw) {
    out.bytes(batch.data(), size * type.size);
    return;
  }
  for (std::size_t i = 0; i < size; ++i) {
    type.encode(batch.record_at(i), out);
  }
}

BatchPtr decode_batch(Decoder& in, const TypeOps& type) {
  // Every record has a timestamp, which bounds what is allocated for a hostile count.
  const std::uint64_t size = in.varint();
  const auto is_keyed = in.raw<std::uint8_t>();
  if (!in.ok() || size == 0 || size > in.remaining() / sizeof(TimestampMs) || is_keyed > 1 ||
      type.decode == nullptr) {
    in.fail();
    return nullptr;
  }
  BatchPtr batch = Batch::make(type, static_cast<std::size_t>(size));
  in.bytes(batch->timestamps(), size * sizeof(TimestampMs));
  if (is_keyed == 1) {
    in.bytes(batch->key_hashes(), size * sizeof(std::uint32_t));
  }
  if (type.encodes_raw) {
    if (in.bytes(batch->data(), size * type.size)) {
      batch->set_size(size);
    }
  } else {
    for (std::size_t i = 0; i < size && in.ok(); ++i) {
      type.default_construct(batch->record_at(i));
      batch->set_size(i + 1);
      type.decode(in, batch->record_at(i));
    }
  }
  batch->set_keyed(is_keyed == 1);
  return in.ok() ? std::move(batch) : nullptr;
}

}  // namespace weir
