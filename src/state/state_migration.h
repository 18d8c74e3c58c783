#pragma once

#include "record/schema_migration.h"
#include "state/state_file.h"

namespace weir::state {

/// How the values of a state as it is stored become those of the state of that name in the job.
/// `evolution`: of the present value type. kInvalidArgument saying why they cannot.
Result<SchemaMigration> plan_state_migration(const StateSchema& stored, const StateSchema& present,
                                             const TypeEvolution& evolution);

}  // namespace weir::state
