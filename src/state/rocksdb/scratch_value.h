#pragma once

#include <new>
#include <string_view>

#include "weir/codec.h"
#include "weir/type_ops.h"

namespace weir::state {

/// Whether all of `bytes` is a value; `value` is a constructed one.
inline bool decode_into(const TypeOps& ops, std::string_view bytes, void* value) {
  Decoder in(bytes);
  ops.decode(in, value);
  return in.exhausted();
}

/// A value of a type known by its TypeOps only.
class ScratchValue {
 public:
  explicit ScratchValue(const TypeOps& ops)
      : ops_(ops), memory_(::operator new(ops.size, std::align_val_t{ops.alignment})) {
    ops_.default_construct(memory_);
  }
  ~ScratchValue() {
    ops_.destroy(memory_);
    ::operator delete(memory_, std::align_val_t{ops_.alignment});
  }
  ScratchValue(const ScratchValue&) = delete;
  ScratchValue& operator=(const ScratchValue&) = delete;
  void* get() { return memory_; }

 private:
  const TypeOps& ops_;
  void* memory_;
};

}  // namespace weir::state
