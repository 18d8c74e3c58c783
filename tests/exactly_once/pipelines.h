#pragma once

#include "job_settings.h"
#include "weir/environment.h"

namespace crash {

/// Adds the pipeline that `settings` name to the environment:
///
///   file-file      files of events -> running total per key -> files
///   file-anonymous the same with a filter that has no uid
///   gen-window     generator -> running total per key -> files, and -> windows -> second files
///   random         generator -> shuffles, unions, checks -> running total per key -> files
///   gen-kafka      generator -> running total per key -> topic
///   kafka-kafka    topic -> running total per key -> topic
///   kafka-both     topic -> map -> topic and files: two sinks in one epoch
///   kafka-twins    topic -> map -> topic and second topic, both sinks without uid or name
///   kafka-dead     as kafka-kafka, broken records go to the second topic
///   kafka-nested   as kafka-kafka with one more stateful operator
weir::Status build_pipeline(weir::Environment& environment, const JobSettings& settings);

/// Without a broker; the shape is drawn from settings.shape.
void build_random_pipeline(weir::Environment& environment, const JobSettings& settings);
/// The pipelines above that need Kafka; an error when this build has none.
/// Without a broker; the shape is drawn from settings.shape.
void build_random_pipeline(weir::Environment& environment, const JobSettings& settings);
weir::Status build_kafka_pipeline(weir::Environment& environment, const JobSettings& settings);

}  // namespace crash
