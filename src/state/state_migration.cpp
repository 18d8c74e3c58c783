#include "state/state_migration.h"

namespace weir::state {

Result<SchemaMigration> plan_state_migration(const StateSchema& stored, const StateSchema& present,
                                             const TypeEvolution& evolution) {
  if (present.key_schema != stored.key_schema) {
    return Error{ErrorCode::kInvalidArgument, "the type of a key cannot change"};
  }
  WEIR_ASSIGN(const Schema from, Schema::parse(stored.value_schema));
  WEIR_ASSIGN(const Schema to, Schema::parse(present.value_schema));
  return SchemaMigration::plan(from, to, evolution);
}

}  // namespace weir::state
