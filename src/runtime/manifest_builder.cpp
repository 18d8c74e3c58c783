#include "runtime/manifest_builder.h"

#include <algorithm>

#include "checkpoint/edge_balance.h"
#include "checkpoint/redistribution.h"

namespace weir::runtime {
namespace {

template <class Snapshot>
Snapshot* find_uid(std::vector<Snapshot>& snapshots, const std::string& uid) {
  const auto found = std::find_if(snapshots.begin(), snapshots.end(),
                                  [&](const Snapshot& snapshot) { return snapshot.uid == uid; });
  return found == snapshots.end() ? nullptr : &*found;
}
template <class Snapshot>
const Snapshot* find_uid(const std::vector<Snapshot>& snapshots, const std::string& uid) {
  return find_uid(const_cast<std::vector<Snapshot>&>(snapshots), uid);
}

void add_plan(const ExecutionPlan& plan, const CollectedSnapshots& collected,
              checkpoint::Manifest& manifest) {
  for (const PlanVertex& vertex : plan.vertices) {
    for (const PlanOperator& op : vertex.operators) {
      if (op.source != nullptr) {
        checkpoint::SourceSnapshot source;
        source.uid = op.uid;
        source.name = op.name;
        source.parallelism = vertex.parallelism;
        source.enumerator_state = collected.enumerator_states.at(op.uid);
        manifest.sources.push_back(std::move(source));
      } else if (op.sink != nullptr) {
        checkpoint::SinkSnapshot sink;
        sink.uid = op.uid;
        sink.name = op.name;
        sink.parallelism = vertex.parallelism;
        manifest.sinks.push_back(std::move(sink));
      } else {
        checkpoint::OperatorSnapshot snapshot;
        snapshot.uid = op.uid;
        snapshot.name = op.name;
        snapshot.parallelism = vertex.parallelism;
        snapshot.max_parallelism = vertex.max_parallelism;
        manifest.operators.push_back(std::move(snapshot));
      }
    }
  }
}

std::vector<TimestampMs> expand(const std::vector<checkpoint::KeyGroupWatermark>& runs,
                                KeyGroupRange range) {
  std::vector<TimestampMs> per_group(static_cast<std::size_t>(range.size()), kMinTimestamp);
  for (const checkpoint::KeyGroupWatermark& run : runs) {
    for (int group = run.key_groups.first; group <= run.key_groups.last; ++group) {
      per_group[static_cast<std::size_t>(group - range.first)] = run.watermark;
    }
  }
  return per_group;
}

Status restore_operator(const PlanVertex& vertex, std::size_t index,
                        const checkpoint::OperatorSnapshot& snapshot,
                        std::vector<TaskRestore>& tasks) {
  WEIR_ASSIGN(auto lists, checkpoint::redistribute_lists(snapshot, vertex.parallelism));
  for (int subtask = 0; subtask < vertex.parallelism; ++subtask) {
    TaskRestore::OfOperator& to = tasks[static_cast<std::size_t>(subtask)].operators[index];
    to.lists = std::move(lists[static_cast<std::size_t>(subtask)]);
    for (auto& file : checkpoint::keyed_files_for(snapshot, subtask, vertex.parallelism)) {
      to.files.push_back(std::move(file.handle));
    }
    const auto watermarks = checkpoint::watermarks_for(snapshot, subtask, vertex.parallelism);
    if (!watermarks.empty()) {
      to.watermarks = expand(watermarks, key_groups_of_subtask(subtask, vertex.max_parallelism,
                                                               vertex.parallelism));
    }
  }
  return {};
}

}  // namespace

void add_snapshots(const ExecutionPlan& plan, const CollectedSnapshots& collected,
                   bool are_edges_exact, checkpoint::Manifest& manifest) {
  add_plan(plan, collected, manifest);
  std::vector<checkpoint::EdgeReport> reports;
  const auto report = [&](const EdgeReport& from, bool is_sender) {
    if (are_edges_exact) {
      reports.push_back({plan.edges[static_cast<std::size_t>(from.edge)].name, is_sender,
                         {from.sums.count, from.sums.hash}});
    }
  };
  for (const CollectedSnapshots::OfTask& task : collected.tasks) {
    for (const TaskSnapshot::OfOperator& part : task.snapshot.operators) {
      find_uid(manifest.operators, part.uid)->subtasks.push_back(part.snapshot);
    }
    for (const TaskSnapshot::OfSink& part : task.snapshot.sinks) {
      find_uid(manifest.sinks, part.uid)->writers.push_back(part.writer);
    }
    if (task.snapshot.reader.has_value()) {
      const PlanVertex& vertex = plan.vertices[static_cast<std::size_t>(task.vertex)];
      find_uid(manifest.sources, vertex.operators.front().uid)
          ->readers.push_back(*task.snapshot.reader);
    }
    for (const EdgeReport& sent : task.snapshot.sent) {
      report(sent, true);
    }
    for (const EdgeReport& received : task.snapshot.received) {
      report(received, false);
    }
  }
  manifest.edges = checkpoint::sum_edges(reports);
}

Result<std::vector<std::vector<TaskRestore>>> plan_restore(const ExecutionPlan& plan,
                                                           const checkpoint::Manifest& manifest) {
  std::vector<std::vector<TaskRestore>> restores;
  for (const PlanVertex& vertex : plan.vertices) {
    TaskRestore empty;
    empty.is_restored = true;
    empty.operators.resize(vertex.operators.size());
    empty.writer_states.resize(vertex.operators.size());
    std::vector<TaskRestore> tasks(static_cast<std::size_t>(vertex.parallelism), empty);
    for (std::size_t i = 0; i < vertex.operators.size(); ++i) {
      const PlanOperator& op = vertex.operators[i];
      if (const auto* source = find_uid(manifest.sources, op.uid); source != nullptr && op.source) {
        WEIR_ASSIGN(auto splits, checkpoint::redistribute_splits(*source, vertex.parallelism));
        for (std::size_t subtask = 0; subtask < tasks.size(); ++subtask) {
          tasks[subtask].splits = std::move(splits[subtask]);
        }
      } else if (const auto* sink = find_uid(manifest.sinks, op.uid); sink != nullptr && op.sink) {
        auto states = checkpoint::redistribute_writer_states(*sink, vertex.parallelism);
        for (std::size_t subtask = 0; subtask < tasks.size(); ++subtask) {
          tasks[subtask].writer_states[i] = std::move(states[subtask]);
        }
      } else if (const auto* snapshot = find_uid(manifest.operators, op.uid)) {
        WEIR_TRY(restore_operator(vertex, i, *snapshot, tasks));
      }
    }
    restores.push_back(std::move(tasks));
  }
  return restores;
}

}  // namespace weir::runtime
