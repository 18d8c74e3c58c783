#include "runtime/manifest_builder.h"

#include <algorithm>
#include <map>

#include "checkpoint/edge_balance.h"
#include "checkpoint/redistribution.h"
#include "runtime/edge_wiring.h"

namespace weir::runtime {
namespace {

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

int parallelism_of(const ExecutionPlan& plan, int vertex) {
  return plan.vertices[static_cast<std::size_t>(vertex)].parallelism;
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

/// The lists of one subtask, each with the schema of its items.
state::MemoryOperatorState::Lists with_schemas(std::vector<checkpoint::ListState> lists,
                                               const checkpoint::OperatorSnapshot& snapshot) {
  state::MemoryOperatorState::Lists result;
  for (checkpoint::ListState& list : lists) {
    const auto schema = std::find_if(snapshot.schemas.begin(), snapshot.schemas.end(),
                                     [&](const auto& one) { return one.name == list.name; });
    const bool is_known = schema != snapshot.schemas.end();
    result[list.name] = {list.redistribution, std::move(list.items),
                         is_known ? schema->key_schema : "", is_known ? schema->value_schema : "",
                         list.others};
  }
  return result;
}

/// What subtasks of one operator declare alike. Where they do not, the manifest has a name twice
/// and is refused.
void add_schemas(const std::vector<checkpoint::StateSchema>& from,
                 checkpoint::OperatorSnapshot& to) {
  for (const checkpoint::StateSchema& schema : from) {
    if (std::find(to.schemas.begin(), to.schemas.end(), schema) == to.schemas.end()) {
      to.schemas.push_back(schema);
    }
  }
}

Status restore_operator(const PlanVertex& vertex, std::size_t index,
                        const checkpoint::OperatorSnapshot& snapshot,
                        std::vector<TaskRestore>& tasks) {
  WEIR_ASSIGN(auto lists, checkpoint::redistribute_lists(snapshot, vertex.parallelism));
  for (int subtask = 0; subtask < vertex.parallelism; ++subtask) {
    TaskRestore::OfOperator& to = tasks[static_cast<std::size_t>(subtask)].operators[index];
    to.lists = with_schemas(std::move(lists[static_cast<std::size_t>(subtask)]), snapshot);
    for (auto& file : checkpoint::keyed_files_for(snapshot, subtask, vertex.parallelism)) {
      to.files.push_back(std::move(file.handle));
    }
    const auto watermarks = checkpoint::watermarks_for(snapshot, subtask, vertex.parallelism);
    if (!watermarks.empty()) {
      to.watermarks = expand(
          watermarks, key_groups_of_subtask(subtask, vertex.max_parallelism, vertex.parallelism));
    }
  }
  return {};
}

void add_in_flight(const ExecutionPlan& plan, const CollectedSnapshots::OfTask& task,
                   checkpoint::Manifest& manifest) {
  if (!task.snapshot.in_flight.has_value()) {
    return;
  }
  std::map<int, checkpoint::InFlightSnapshot> of_edges;
  for (const ChannelLog::StoredChannel& channel : task.snapshot.in_flight->channels) {
    const PlanEdge& edge = plan.edges[static_cast<std::size_t>(channel.edge)];
    const auto [at, is_new] = of_edges.try_emplace(channel.edge);
    checkpoint::InFlightSnapshot& of_edge = at->second;
    if (is_new) {
      of_edge.edge = edge.name;
      of_edge.subtask = task.subtask;
      of_edge.sender_parallelism = parallelism_of(plan, edge.from_vertex);
      of_edge.receiver_parallelism = parallelism_of(plan, edge.to_vertex);
      of_edge.record_schema = edge.record->schema();
      of_edge.file = task.snapshot.in_flight->file;
    }
    of_edge.channels.push_back(channel.snapshot);
  }
  for (auto& [edge, of_edge] : of_edges) {
    manifest.in_flight.push_back(std::move(of_edge));
  }
}

bool is_anything_under_way(const checkpoint::InFlightSnapshot& item) {
  return std::any_of(
      item.channels.begin(), item.channels.end(),
      [](const checkpoint::ChannelSnapshot& channel) { return channel.record_count > 0; });
}

/// The edge along which the records travel; null when it is gone and nothing was under way.
Result<const PlanEdge*> find_edge(const ExecutionPlan& plan,
                                  const checkpoint::InFlightSnapshot& item) {
  const auto edge = std::find_if(plan.edges.begin(), plan.edges.end(),
                                 [&](const PlanEdge& one) { return one.name == item.edge; });
  const std::string what = "the unaligned checkpoint holds records under way along '" + item.edge;
  const std::string mend =
      ": run the job as it was, take a savepoint, and start the changed job from that";
  if (edge == plan.edges.end() || !can_overtake(edge->partitioning)) {
    if (!is_anything_under_way(item)) {
      return nullptr;
    }
    return Error{ErrorCode::kInvalidArgument,
                 what + "', which the job does not have, or not as a shuffle" + mend};
  }
  const std::string schema = edge->record->encode == nullptr ? "none" : edge->record->schema();
  if (schema != item.record_schema) {
    return Error{ErrorCode::kInvalidArgument,
                 what + "' with schema " + item.record_schema + ", the job sends " + schema + mend};
  }
  return &*edge;
}

checkpoint::InFlightRouting routing_of(Partitioning partitioning) {
  switch (partitioning) {
    case Partitioning::kHash:
      return checkpoint::InFlightRouting::kKeyGroups;
    case Partitioning::kGlobal:
      return checkpoint::InFlightRouting::kFirst;
    default:
      return checkpoint::InFlightRouting::kRoundRobin;
  }
}

Status restore_in_flight(const ExecutionPlan& plan, const checkpoint::Manifest& manifest,
                         std::vector<std::vector<TaskRestore>>& restores) {
  std::map<const PlanEdge*, std::vector<const checkpoint::InFlightSnapshot*>> by_edge;
  for (const checkpoint::InFlightSnapshot& item : manifest.in_flight) {
    WEIR_ASSIGN(const PlanEdge* edge, find_edge(plan, item));
    if (edge != nullptr) {
      by_edge[edge].push_back(&item);
    }
  }
  for (const auto& [edge, items] : by_edge) {
    const PlanVertex& receiver = plan.vertices[static_cast<std::size_t>(edge->to_vertex)];
    const auto shares = checkpoint::redistribute_in_flight(
        items, routing_of(edge->partitioning), receiver.parallelism, receiver.max_parallelism);
    for (std::size_t subtask = 0; subtask < shares.size(); ++subtask) {
      TaskRestore& to = restores[static_cast<std::size_t>(edge->to_vertex)][subtask];
      for (const checkpoint::InFlightShare& share : shares[subtask]) {
        for (const checkpoint::ChannelSnapshot& channel : share.from->channels) {
          TaskRestore::InFlight part;
          part.edge = edge->id;
          part.operator_input = edge->to_input;
          part.record = edge->record;
          part.file = share.from->file;
          part.channel = channel;
          part.is_same_channel =
              share.from->receiver_parallelism == receiver.parallelism &&
              share.from->sender_parallelism == parallelism_of(plan, edge->from_vertex);
          part.is_filtered = !share.is_whole;
          to.in_flight.push_back(std::move(part));
        }
      }
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
      reports.push_back({plan.edges[static_cast<std::size_t>(from.edge)].name,
                         is_sender,
                         {from.sums.count, from.sums.hash}});
    }
  };
  for (const CollectedSnapshots::OfTask& task : collected.tasks) {
    for (const TaskSnapshot::OfOperator& part : task.snapshot.operators) {
      checkpoint::OperatorSnapshot& snapshot = *checkpoint::find_uid(manifest.operators, part.uid);
      snapshot.subtasks.push_back(part.snapshot);
      add_schemas(part.list_schemas, snapshot);
    }
    for (const TaskSnapshot::OfSink& part : task.snapshot.sinks) {
      checkpoint::find_uid(manifest.sinks, part.uid)->writers.push_back(part.writer);
    }
    if (task.snapshot.reader.has_value()) {
      const PlanVertex& vertex = plan.vertices[static_cast<std::size_t>(task.vertex)];
      checkpoint::find_uid(manifest.sources, vertex.operators.front().uid)
          ->readers.push_back(*task.snapshot.reader);
    }
    add_in_flight(plan, task, manifest);
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
    empty.checkpoint = manifest.checkpoint;
    empty.operators.resize(vertex.operators.size());
    empty.writer_states.resize(vertex.operators.size());
    std::vector<TaskRestore> tasks(static_cast<std::size_t>(vertex.parallelism), empty);
    for (std::size_t i = 0; i < vertex.operators.size(); ++i) {
      const PlanOperator& op = vertex.operators[i];
      if (const auto* source = checkpoint::find_uid(manifest.sources, op.uid);
          source != nullptr && op.source) {
        WEIR_ASSIGN(auto splits, checkpoint::redistribute_splits(*source, vertex.parallelism));
        for (std::size_t subtask = 0; subtask < tasks.size(); ++subtask) {
          tasks[subtask].splits = std::move(splits[subtask]);
        }
      } else if (const auto* sink = checkpoint::find_uid(manifest.sinks, op.uid);
                 sink != nullptr && op.sink) {
        auto states = checkpoint::redistribute_writer_states(*sink, vertex.parallelism);
        for (std::size_t subtask = 0; subtask < tasks.size(); ++subtask) {
          tasks[subtask].writer_states[i] = std::move(states[subtask]);
        }
      } else if (const auto* snapshot = checkpoint::find_uid(manifest.operators, op.uid)) {
        WEIR_TRY(restore_operator(vertex, i, *snapshot, tasks));
      }
    }
    restores.push_back(std::move(tasks));
  }
  WEIR_TRY(restore_in_flight(plan, manifest, restores));
  return restores;
}

}  // namespace weir::runtime
