// The instances of KeyedHeapTable, and which one a type of key gets.

#include <memory>
#include <string>
#include <utility>

#include "state/keyed_heap_table.h"

namespace weir::state {
namespace {

template <class KeyKind>
std::unique_ptr<HeapTable> make(StateTableDescriptor descriptor,
                                const HeapTable::Options& options) {
  return std::make_unique<KeyedHeapTable<KeyKind>>(std::move(descriptor), options);
}

}  // namespace

std::unique_ptr<HeapTable> make_heap_table(StateTableDescriptor descriptor,
                                           const HeapTable::Options& options) {
  if (descriptor.key->encodes_raw && descriptor.key->alignment <= kRawKeyOffset) {
    switch (descriptor.key->size) {
      case 1:
        return make<RawKey<std::uint8_t, 1>>(std::move(descriptor), options);
      case 2:
        return make<RawKey<std::uint16_t, 1>>(std::move(descriptor), options);
      case 4:
        return make<RawKey<std::uint32_t, 1>>(std::move(descriptor), options);
      case 8:
        return make<RawKey<std::uint64_t, 1>>(std::move(descriptor), options);
      case 16:
        return make<RawKey<std::uint64_t, 2>>(std::move(descriptor), options);
      default:
        break;
    }
  }
  return make<ObjectKey>(std::move(descriptor), options);
}

Status check_descriptor(const StateTableDescriptor& descriptor) {
  const auto refuse = [&](const TypeOps& ops, const char* reason) {
    return Error{ErrorCode::kInvalidArgument,
                 "state '" + descriptor.name + "': type " + std::string(ops.name) + " " + reason};
  };
  WEIR_CHECK(descriptor.key != nullptr && descriptor.value != nullptr);
  const TypeOps& key = *descriptor.key;
  const TypeOps& value = *descriptor.value;
  for (const TypeOps* ops : {&key, &value}) {
    if (ops->encode == nullptr || ops->decode == nullptr || ops->schema == nullptr) {
      return refuse(*ops, "has no codec");
    }
    if (ops->alignment > 64) {
      return refuse(*ops, "is aligned to more than 64 bytes");
    }
  }
  if (key.equals == nullptr || key.copy_construct == nullptr) {
    return refuse(key, "cannot be a key: it needs == and a copy constructor");
  }
  if (key.default_construct == nullptr) {
    return refuse(key, "cannot be a key: it needs a default constructor");
  }
  if (descriptor.initial_value != nullptr ? value.copy_construct == nullptr
                                          : value.default_construct == nullptr) {
    return refuse(value, "cannot be created: it needs a default or a copy constructor");
  }
  return {};
}

}  // namespace weir::state
