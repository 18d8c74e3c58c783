#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "generator/source.h"

namespace weir::generator {

/// Flink's fromData: a bounded source of the given records, in their order. The records are part of
/// the program; a checkpoint holds the position only.
template <class T>
std::shared_ptr<weir::Source> from_elements(std::vector<T> elements) {
  const auto shared = std::make_shared<const std::vector<T>>(std::move(elements));
  return Source<T>::from(
             [shared](std::uint64_t index) { return (*shared)[static_cast<std::size_t>(index)]; })
      .with_count(shared->size())
      .with_splits(1)
      .build();
}

}  // namespace weir::generator
