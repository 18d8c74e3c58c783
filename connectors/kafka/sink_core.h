#pragma once

#include <memory>

#include "kafka/sink_options.h"

namespace weir::kafka {

/// The compiled sink behind every KafkaSink<T>.
std::shared_ptr<Sink> make_sink(SinkOptions options);

/// All start-up checks of a sink; talks to the brokers.
Status check_sink(const SinkOptions& options, const SinkContext& context);

}  // namespace weir::kafka
