#include "runtime/compatibility.h"

#include <algorithm>
#include <map>
#include <utility>

#include "checkpoint/operator_match.h"
#include "checkpoint/snapshot_directory.h"
#include "runtime/declared_state.h"
#include "runtime/heap_keyed_state.h"
#include "runtime/keyed_state.h"
#include "runtime/manifest_builder.h"
#include "runtime/restore_match.h"
#include "state/rocksdb/rocks_index.h"
#include "state/state_file_survey.h"
#include "state/state_migration.h"

namespace weir::runtime {
namespace {

std::string kind_of(const state::StateSchema& schema) {
  return schema.kind == state::StateKind::kTimers ? "timers" : "keyed";
}
/// What timers hold is weir's own affair.
std::string text_of(const state::StateSchema& schema) {
  return schema.kind == state::StateKind::kTimers
             ? schema.key_schema
             : schema.key_schema + " -> " + schema.value_schema;
}

class Comparison {
 public:
  Comparison(const JobOptions& options, ExecutionPlan plan, FileSystem& files,
             checkpoint::LoadedSnapshot snapshot)
      : options_(options),
        plan_(std::move(plan)),
        files_(files),
        root_(std::move(snapshot.location.root)),
        manifest_(std::move(snapshot.manifest)) {}

  Result<Compatibility> run() {
    const auto match = match_snapshot(options_, plan_, manifest_);
    std::vector<std::vector<TaskRestore>> tasks;
    if (match.ok()) {
      refuse(
          checkpoint::check_match(manifest_, match.value(), options_.is_unclaimed_state_ignored));
      auto planned = plan_restore(plan_, manifest_);
      refuse(planned.ok() ? Status() : planned.error());
      tasks = planned.ok() ? std::move(planned).value() : tasks;
    } else {
      refuse(match.error());
    }
    for (std::size_t v = 0; v < plan_.vertices.size(); ++v) {
      const PlanVertex& vertex = plan_.vertices[v];
      for (std::size_t i = 0; i < vertex.operators.size(); ++i) {
        WEIR_TRY(add_operator(
            vertex, vertex.operators[i],
            tasks.empty() ? TaskRestore::OfOperator() : tasks[v].front().operators[i]));
      }
    }
    if (match.ok()) {
      WEIR_TRY(add_dropped(match.value().dropped));
    }
    return std::move(result_);
  }

 private:
  void refuse(const Status& status) {
    if (!status.ok()) {
      result_.refusals.push_back(status.error().message);
    }
  }

  Status add_operator(const PlanVertex& vertex, const PlanOperator& op,
                      const TaskRestore::OfOperator& restored) {
    OperatorFit row{op.uid, op.name, "operator", Fit::kSame, {}};
    if (op.create_operator == nullptr) {
      row.kind = op.source != nullptr ? "source" : "sink";
      const bool is_known = op.source != nullptr
                                ? checkpoint::find_uid(manifest_.sources, op.uid) != nullptr
                                : checkpoint::find_uid(manifest_.sinks, op.uid) != nullptr;
      row.fit = is_known ? Fit::kSame : Fit::kMissing;
      result_.operators.push_back(std::move(row));
      return {};
    }
    const checkpoint::OperatorSnapshot* const snapshot =
        checkpoint::find_uid(manifest_.operators, op.uid);
    WEIR_ASSIGN(const DeclaredState declared,
                declared_state_of(vertex, op, options_.job_name, restored.lists));
    std::vector<state::StateSchema> stored;
    if (snapshot != nullptr) {
      WEIR_ASSIGN(stored, stored_schemas(*snapshot));
      check_backend(*snapshot);
    }
    add_keyed(declared, stored, row);
    add_lists(declared, restored.lists, row);
    row.fit = snapshot == nullptr ? Fit::kMissing : Fit::kSame;
    for (const StateFit& state : row.states) {
      if (state.fit == Fit::kIncompatible) {
        result_.refusals.push_back("operator " + op.uid + ": state '" + state.name +
                                   "': " + state.notes.front());
      }
      const bool is_worse = state.fit == Fit::kIncompatible ||
                            (state.fit == Fit::kMigratable && row.fit != Fit::kIncompatible);
      row.fit = is_worse ? state.fit : row.fit;
    }
    result_.operators.push_back(std::move(row));
    return {};
  }

  /// The backend of the job has to read what that of the snapshot wrote.
  void check_backend(const checkpoint::OperatorSnapshot& snapshot) {
    for (const checkpoint::SubtaskSnapshot& subtask : snapshot.subtasks) {
      const Status readable =
          options_.rocksdb.has_value() ? Status() : HeapKeyedState::check_readable(subtask.files);
      if (!readable.ok()) {
        result_.refusals.push_back("operator " + snapshot.uid + ": " + readable.error().message);
        return;
      }
    }
  }

  /// Every form in which a state of the operator is stored: normally one.
  Result<std::vector<state::StateSchema>> stored_schemas(
      const checkpoint::OperatorSnapshot& snapshot) const {
    std::vector<state::StateSchema> schemas;
    for (const checkpoint::SubtaskSnapshot& subtask : snapshot.subtasks) {
      for (const checkpoint::StateHandle& handle : subtask.files) {
        const auto add = [&](const auto& states) {
          for (const auto& state : states) {
            if (std::find(schemas.begin(), schemas.end(), state.schema) == schemas.end()) {
              schemas.push_back(state.schema);
            }
          }
        };
        const std::string path = join_path(root_, handle.file.path);
        if (checkpoint::is_state_file(handle)) {
          WEIR_ASSIGN(const state::StateFileIndex index,
                      state::read_state_file_index(files_, path));
          add(index.states);
        } else if (handle.kind == checkpoint::kRocksDbKind &&
                   handle.meta == state::kRocksIndexMeta) {
          WEIR_ASSIGN(const state::RocksIndex index,
                      state::read_rocks_index(
                          files_, {path, {handle.file.length_bytes, handle.file.crc32c}}));
          add(index.states);
        }
      }
    }
    return schemas;
  }

  static void add_keyed(const DeclaredState& declared,
                        const std::vector<state::StateSchema>& stored, OperatorFit& row) {
    std::vector<bool> is_declared(stored.size());
    for (const DeclaredState::Keyed& keyed : declared.keyed) {
      StateFit fit{
          keyed.schema.name, kind_of(keyed.schema), Fit::kMissing, "", text_of(keyed.schema), {}};
      for (std::size_t i = 0; i < stored.size(); ++i) {
        if (state::is_same_state(stored[i], keyed.schema)) {
          is_declared[i] = true;
          compare(stored[i], keyed, fit);
        }
      }
      row.states.push_back(std::move(fit));
    }
    for (std::size_t i = 0; i < stored.size(); ++i) {
      if (!is_declared[i]) {
        row.states.push_back({stored[i].name,
                              kind_of(stored[i]),
                              Fit::kDropped,
                              text_of(stored[i]),
                              "",
                              {"carried along in later checkpoints, in case it comes back"}});
      }
    }
  }

  static void compare(const state::StateSchema& stored, const DeclaredState::Keyed& keyed,
                      StateFit& fit) {
    fit.stored = text_of(stored);
    const auto migration = state::plan_state_migration(stored, keyed.schema, keyed.evolution);
    if (!migration.ok()) {
      fit.fit = Fit::kIncompatible;
      fit.notes = {"stored as " + fit.stored + ", declared as " + fit.present + ": " +
                   migration.error().message};
    } else if (fit.fit != Fit::kIncompatible) {
      const bool is_same = migration.value().is_identity() && fit.fit != Fit::kMigratable;
      fit.fit = is_same ? Fit::kSame : Fit::kMigratable;
      fit.notes.insert(fit.notes.end(), migration.value().changes().begin(),
                       migration.value().changes().end());
    }
  }

  static void add_lists(const DeclaredState& declared,
                        const state::MemoryOperatorState::Lists& stored, OperatorFit& row) {
    for (const DeclaredState::List& list : declared.lists) {
      StateFit fit{list.name,
                   std::string(state::operator_state_kind(list.form.redistribution)),
                   Fit::kMissing,
                   "",
                   state::operator_state_text(list.form),
                   list.changes};
      if (const auto found = stored.find(list.name); found != stored.end()) {
        fit.stored = state::operator_state_text(found->second);
        fit.fit = list.changes.empty() ? Fit::kSame : Fit::kMigratable;
      }
      if (!list.refusal.empty()) {
        fit.fit = Fit::kIncompatible;
        fit.notes = {list.refusal};
      }
      if (declared.refusal.has_value() && declared.refusal->list == list.name) {
        fit.fit = Fit::kIncompatible;
        fit.notes = {declared.refusal->why};
      }
      row.states.push_back(std::move(fit));
    }
    for (const auto& [name, list] : stored) {
      if (std::none_of(declared.lists.begin(), declared.lists.end(),
                       [&name = name](const auto& one) { return one.name == name; })) {
        row.states.push_back({name,
                              std::string(state::operator_state_kind(list.redistribution)),
                              Fit::kDropped,
                              state::operator_state_text(list),
                              "",
                              {"carried along in later checkpoints, in case it comes back"}});
      }
    }
  }

  /// Whole operators, with the states that go with them.
  Status add_dropped(const std::vector<std::string>& uids) {
    for (const std::string& uid : uids) {
      if (const auto* source = checkpoint::find_uid(manifest_.sources, uid)) {
        result_.operators.push_back({uid, source->name, "source", Fit::kDropped, {}});
      } else if (const auto* sink = checkpoint::find_uid(manifest_.sinks, uid)) {
        result_.operators.push_back({uid, sink->name, "sink", Fit::kDropped, {}});
      } else if (const auto* op = checkpoint::find_uid(manifest_.operators, uid)) {
        OperatorFit row{uid, op->name, "operator", Fit::kDropped, {}};
        WEIR_ASSIGN(const std::vector<state::StateSchema> stored, stored_schemas(*op));
        for (const state::StateSchema& schema : stored) {
          row.states.push_back(
              {schema.name, kind_of(schema), Fit::kDropped, text_of(schema), "", {}});
        }
        for (const checkpoint::StateSchema& schema : op->schemas) {
          row.states.push_back({schema.name,
                                schema.kind,
                                Fit::kDropped,
                                schema.key_schema.empty()
                                    ? schema.value_schema
                                    : schema.key_schema + " -> " + schema.value_schema,
                                "",
                                {}});
        }
        result_.operators.push_back(std::move(row));
      }
    }
    return {};
  }

  const JobOptions& options_;
  ExecutionPlan plan_;
  FileSystem& files_;
  const std::string root_;
  checkpoint::Manifest manifest_;
  Compatibility result_;
};

}  // namespace

std::string_view fit_name(Fit fit) {
  switch (fit) {
    case Fit::kSame:
      return "same";
    case Fit::kMigratable:
      return "migratable";
    case Fit::kDropped:
      return "dropped";
    case Fit::kMissing:
      return "missing";
    case Fit::kIncompatible:
      return "incompatible";
  }
  return "?";
}

Result<Compatibility> compare_with_snapshot(const JobOptions& options, ExecutionPlan plan,
                                            FileSystem& files, const std::string& snapshot) {
  WEIR_ASSIGN(checkpoint::LoadedSnapshot loaded, checkpoint::load_snapshot(files, snapshot));
  return Comparison(options, std::move(plan), files, std::move(loaded)).run();
}

}  // namespace weir::runtime
