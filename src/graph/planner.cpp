#include "graph/planner.h"

#include <algorithm>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "weir/key_hash.h"

namespace weir::graph {
namespace {

using runtime::ExecutionPlan;
using runtime::PlanEdge;
using runtime::PlanOperator;
using runtime::PlanTarget;
using runtime::PlanVertex;

/// What the planner has decided about a node.
struct PlannedNode {
  std::string name;
  std::string uid;
  int parallelism = 1;
  int vertex = -1;
  int index = -1;  ///< within the vertex' chain
};

std::string label(const StreamNode& node, const PlannedNode& planned) {
  return "operator '" + planned.name + "'" +
         (node.uid.has_value() ? " (uid " + *node.uid + ")" : "");
}

/// Stable as long as the pipeline above the operator keeps its shape.
std::string generated_uid(const StreamNode& node, const std::vector<PlannedNode>& planned,
                          std::map<std::string, int>& occurrences) {
  std::string text = node.kind;
  for (const StreamInput& input : node.inputs) {
    text += "|" + planned[static_cast<std::size_t>(input.from.node)].uid + "." +
            std::to_string(input.from.side_output);
  }
  text += "#" + std::to_string(occurrences[text]++);
  const std::string salted = text + "~";
  return fmt::format("auto-{:08x}{:08x}", hash_key_bytes(text.data(), text.size()),
                     hash_key_bytes(salted.data(), salted.size()));
}

class Planner {
 public:
  Planner(const StreamGraph& graph, const PlanOptions& options)
      : graph_(graph), options_(options), nodes_(graph.nodes.size()) {}

  Result<ExecutionPlan> run() {
    plan_.job_name = options_.job_name;
    WEIR_TRY(check_shape());
    WEIR_TRY(name_nodes());
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      WEIR_TRY(place(i));
    }
    for (PlanVertex& vertex : plan_.vertices) {
      for (const PlanOperator& op : vertex.operators) {
        vertex.name += (vertex.name.empty() ? "" : " -> ") + op.name;
      }
    }
    return std::move(plan_);
  }

 private:
  Status check_shape() const {
    const auto count = [&](auto member) {
      return std::count_if(graph_.nodes.begin(), graph_.nodes.end(),
                           [&](const StreamNode& node) { return node.*member != nullptr; });
    };
    if (count(&StreamNode::source) == 0) {
      return Error{ErrorCode::kInvalidArgument, "the pipeline has no source: add from_source()"};
    }
    if (count(&StreamNode::sink) == 0) {
      return Error{ErrorCode::kInvalidArgument,
                   "the pipeline has no sink, so it would compute nothing: add sink_to()"};
    }
    return {};
  }

  Status name_nodes() {
    std::map<std::string, std::string> owner_of_uid;
    std::map<std::string, int> occurrences;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      const StreamNode& node = graph_.nodes[i];
      PlannedNode& planned = nodes_[i];
      planned.name = node.name.empty() ? node.kind : node.name;
      planned.parallelism = node.parallelism.value_or(options_.default_parallelism);
      if (!node.uid.has_value() && !options_.are_uids_generated) {
        return Error{ErrorCode::kInvalidArgument,
                     label(node, planned) +
                         " has no uid and pipeline.auto-generate-uids is false: call uid()"};
      }
      planned.uid = node.uid.has_value() ? *node.uid : generated_uid(node, nodes_, occurrences);
      const auto [known, is_new] = owner_of_uid.try_emplace(planned.uid, planned.name);
      if (!is_new) {
        return Error{ErrorCode::kInvalidArgument, "operators '" + known->second + "' and '" +
                                                      planned.name + "' have the same uid '" +
                                                      planned.uid + "': uids must be unique"};
      }
      WEIR_TRY(check_node(node, planned));
    }
    return {};
  }

  Status check_node(const StreamNode& node, const PlannedNode& planned) const {
    if (!node.problem.empty()) {
      return Error{ErrorCode::kInvalidArgument, label(node, planned) + ": " + node.problem};
    }
    const int max_parallelism = node.max_parallelism.value_or(options_.max_parallelism);
    if (max_parallelism < 1 || max_parallelism > kUpperBoundMaxParallelism) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("{}: max parallelism {} is not between 1 and {}",
                               label(node, planned), max_parallelism, kUpperBoundMaxParallelism)};
    }
    if (planned.parallelism < 1 || planned.parallelism > max_parallelism) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("{}: parallelism {} is not between 1 and the max parallelism {}",
                               label(node, planned), planned.parallelism, max_parallelism)};
    }
    if (planned.uid.empty() ||
        !std::all_of(planned.uid.begin(), planned.uid.end(), [](unsigned char c) {
          return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.' || c == ' ' || c == ':';
        })) {
      return Error{ErrorCode::kInvalidArgument,
                   label(node, planned) +
                       ": a uid consists of letters, digits, blanks and the characters - _ . :"};
    }
    for (const StreamInput& input : node.inputs) {
      const PlannedNode& from = nodes_[static_cast<std::size_t>(input.from.node)];
      if (input.partitioning == Partitioning::kForward && from.parallelism != planned.parallelism) {
        return Error{ErrorCode::kInvalidArgument,
                     fmt::format("forward() from '{}' (parallelism {}) to '{}' (parallelism {}) "
                                 "needs equal parallelism; use rebalance() or rescale()",
                                 from.name, from.parallelism, planned.name, planned.parallelism)};
      }
    }
    return {};
  }

  Partitioning partitioning_of(const StreamInput& input, const PlannedNode& to) const {
    if (input.partitioning.has_value()) {
      return *input.partitioning;
    }
    const PlannedNode& from = nodes_[static_cast<std::size_t>(input.from.node)];
    return from.parallelism == to.parallelism ? Partitioning::kForward : Partitioning::kRebalance;
  }

  bool can_chain(std::size_t i) const {
    const StreamNode& node = graph_.nodes[i];
    return node.inputs.size() == 1 &&
           partitioning_of(node.inputs.front(), nodes_[i]) == Partitioning::kForward;
  }

  Status place(std::size_t i) {
    const StreamNode& node = graph_.nodes[i];
    PlannedNode& planned = nodes_[i];
    if (can_chain(i)) {
      planned.vertex = nodes_[static_cast<std::size_t>(node.inputs.front().from.node)].vertex;
    } else {
      planned.vertex = static_cast<int>(plan_.vertices.size());
      PlanVertex vertex;
      vertex.id = planned.vertex;
      vertex.parallelism = planned.parallelism;
      vertex.max_parallelism = node.max_parallelism.value_or(options_.max_parallelism);
      vertex.is_max_parallelism_explicit = node.max_parallelism.has_value();
      plan_.vertices.push_back(std::move(vertex));
    }
    PlanVertex& vertex = plan_.vertices[static_cast<std::size_t>(planned.vertex)];
    planned.index = static_cast<int>(vertex.operators.size());
    PlanOperator op;
    op.uid = planned.uid;
    op.name = planned.name;
    op.has_keyed_state = node.has_keyed_state;
    op.source = node.source;
    op.create_operator = node.create_operator;
    op.sink = node.sink;
    op.watermarks = node.watermarks;
    op.outputs.resize(1 + node.side_outputs.size());
    vertex.operators.push_back(std::move(op));
    for (const StreamInput& input : node.inputs) {
      connect(input, i);
    }
    return {};
  }

  void connect(const StreamInput& input, std::size_t to) {
    const PlannedNode& from = nodes_[static_cast<std::size_t>(input.from.node)];
    const PlannedNode& target = nodes_[to];
    PlanTarget link;
    if (can_chain(to)) {
      link.chained_operator = target.index;
    } else {
      PlanEdge edge;
      edge.id = static_cast<int>(plan_.edges.size());
      const StreamNode& sender = graph_.nodes[static_cast<std::size_t>(input.from.node)];
      const bool is_main = input.from.side_output == StreamRef::kMainOutput;
      edge.name = fmt::format(
          "{}{} -> {}", from.uid,
          is_main ? std::string() : ":" + std::to_string(input.from.side_output), target.uid);
      // Other changes of the graph do not rename an edge: records under way are stored by name.
      if (const int occurrence = ++edges_by_name_[edge.name]; occurrence > 1) {
        edge.name += fmt::format(" #{}", occurrence);
      }
      edge.record =
          is_main ? sender.output
                  : sender.side_outputs[static_cast<std::size_t>(input.from.side_output)].type;
      edge.from_vertex = from.vertex;
      edge.to_vertex = target.vertex;
      edge.to_input = input.input;
      edge.partitioning = partitioning_of(input, target);
      edge.key = input.key;
      link.edge = edge.id;
      plan_.vertices[static_cast<std::size_t>(target.vertex)].input_edges.push_back(edge.id);
      plan_.edges.push_back(std::move(edge));
    }
    plan_.vertices[static_cast<std::size_t>(from.vertex)]
        .operators[static_cast<std::size_t>(from.index)]
        .outputs[static_cast<std::size_t>(input.from.side_output + 1)]
        .push_back(link);
  }

  const StreamGraph& graph_;
  const PlanOptions& options_;
  std::vector<PlannedNode> nodes_;
  std::map<std::string, int> edges_by_name_;
  ExecutionPlan plan_;
};

std::string_view partitioning_name(Partitioning partitioning) {
  switch (partitioning) {
    case Partitioning::kForward:
      return "forward";
    case Partitioning::kHash:
      return "hash";
    case Partitioning::kRebalance:
      return "rebalance";
    case Partitioning::kRescale:
      return "rescale";
    case Partitioning::kBroadcast:
      return "broadcast";
    case Partitioning::kGlobal:
      return "global";
  }
  return "?";
}

}  // namespace

Result<ExecutionPlan> build_plan(const StreamGraph& graph, const PlanOptions& options) {
  return Planner(graph, options).run();
}

std::string explain(const ExecutionPlan& plan) {
  std::string text = "job " + plan.job_name + "\n";
  for (const PlanVertex& vertex : plan.vertices) {
    text += fmt::format("vertex {}: {} (parallelism {}, max {})\n", vertex.id, vertex.name,
                        vertex.parallelism, vertex.max_parallelism);
    for (const PlanOperator& op : vertex.operators) {
      text += fmt::format("  {} [uid {}]{}\n", op.name, op.uid,
                          op.has_keyed_state ? " keyed state" : "");
    }
  }
  for (const PlanEdge& edge : plan.edges) {
    text += fmt::format("edge {}: {} -> {} {}\n", edge.id, edge.from_vertex, edge.to_vertex,
                        partitioning_name(edge.partitioning));
  }
  return text;
}

}  // namespace weir::graph
