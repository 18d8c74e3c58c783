#pragma once

#include <string>

#include "weir/environment.h"

namespace flights {

struct PipelineOptions {
  std::string brokers;
  std::string input = "flights";
  std::string output = "flights-hourly";
  std::string late = "flights-late";
  weir::DurationMs bound{0};  ///< out-of-orderness that the watermark allows for
};

/// Kafka -> per origin and hour: number of flights, mean and maximum delay -> Kafka, exactly once.
/// Rows that come too late go to a topic of their own.
void build_pipeline(weir::Environment& env, const PipelineOptions& options);

}  // namespace flights
