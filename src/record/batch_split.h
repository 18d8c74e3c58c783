#pragma once

#include <deque>

#include "weir/batch.h"

namespace weir {

/// Deals the records out to batches of at most `rows_max`, in their order. REQUIRES: rows_max > 0.
std::deque<BatchPtr> split_batch(BatchPtr batch, std::size_t rows_max);

}  // namespace weir
