#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "record/schema.h"
#include "state/state_file.h"
#include "weir/result.h"

namespace weir::state_processor {

/// Whether an operator keeps its timers under that name: what no table is called.
bool is_timers_name(std::string_view state);

/// The bytes of every encoded value where it is the value's image in memory, as kEncodesRaw says of
/// the type: StateSchema::key_size and value_size. 0: a length precedes each.
std::uint32_t fixed_size_of(const Schema& schema);

/// The schema of a state that no job declared, as a job would. `value` is empty for timers.
/// kInvalidArgument naming what is wrong with it.
Result<state::StateSchema> schema_of_new_state(const std::string& name, const std::string& key,
                                               const std::string& value);

}  // namespace weir::state_processor
