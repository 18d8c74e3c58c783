#pragma once

#include "weir/config_options.h"

namespace weir {

/// The memory of the process, under Flink's names where it has any.
namespace options {

inline constexpr ConfigOption<SizeBytes> kProcessMemory{
    "taskmanager.memory.process.size", "",
    "Memory the process may take. Sources wait when it is nearly used up; a job whose state does "
    "not fit fails rather than have the system kill the process. Default: nine tenths of what the "
    "machine or the container has.",
    detail::size_in<32 * 1024 * 1024>};
inline constexpr ConfigOption<double> kNetworkMemoryFraction{
    "taskmanager.memory.network.fraction", "0.1",
    "Share of it for records on their way from task to task and for what unaligned checkpoints "
    "store of them. When it is used up senders wait; each channel may always hold one batch.",
    detail::fraction};
inline constexpr ConfigOption<SizeBytes> kNetworkMemoryMin{
    "taskmanager.memory.network.min", "16 mb", "Least memory for that. (Flink: 64 mb.)",
    detail::size_in<1024 * 1024>};
inline constexpr ConfigOption<SizeBytes> kNetworkMemoryMax{
    "taskmanager.memory.network.max", "1 gb", "Most memory for that. (Flink: no limit.)",
    detail::size_in<1024 * 1024>};
inline constexpr ConfigOption<double> kConnectorMemoryFraction{
    "weir.memory.connectors.fraction", "0.1",
    "Share of the process' memory for the queues of clients, such as Kafka's, shared out evenly "
    "among the readers of sources and the writers of sinks.",
    detail::fraction};

}  // namespace options
}  // namespace weir
