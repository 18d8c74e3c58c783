#include "record/batch_split.h"

#include <algorithm>

namespace weir {

std::deque<BatchPtr> split_batch(BatchPtr batch, std::size_t rows_max) {
  std::deque<BatchPtr> pieces;
  if (batch->size() <= rows_max) {
    pieces.push_back(std::move(batch));
    return pieces;
  }
  const TypeOps& type = batch->type();
  for (std::size_t row = 0; row < batch->size(); ++row) {
    if (pieces.empty() || pieces.back()->full()) {
      pieces.push_back(Batch::make(type, std::min(rows_max, batch->size() - row)));
      pieces.back()->set_keyed(batch->is_keyed());
    }
    pieces.back()->append_moved(*batch, row);
  }
  batch->set_size(0);  // the records live in the pieces now
  return pieces;
}

}  // namespace weir
