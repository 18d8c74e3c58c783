#pragma once

#include <string>

namespace flights {

/// Produces each line of standard input (without the header line) to `topic`, keyed by origin.
/// Returns an exit status.
int load_topic(const std::string& brokers, const std::string& topic);

/// Prints the values of all committed messages of `topic`, as a read_committed reader sees them.
int dump_topic(const std::string& brokers, const std::string& topic);

}  // namespace flights
