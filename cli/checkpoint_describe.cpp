#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/snapshot_difference.h"
#include "checkpoint/snapshot_directory.h"
#include "checkpoint_commands.h"
#include "connector_forms.h"
#include "describe_text.h"
#include "io/local_file_system.h"
#include "output.h"
#include "snapshot_json.h"
#include "state/rocksdb/rocks_index.h"
#include "state/state_file_survey.h"
#include "state_processor/stored_state.h"

namespace weir::cli {
namespace {

struct StateSummary {
  state::StateSchema schema;
  std::uint64_t entries = 0;
};
using States = std::map<std::string, StateSummary>;

std::string id_of(const state::StateSchema& schema) {
  return (schema.kind == state::StateKind::kTimers ? "timers/" : "keyed/") + schema.name;
}

/// The states of one subtask, of whose files this is the next: it knows how many entries there are
/// with those before it.
void update_states(const state::StateFileIndex& index, States& states) {
  for (const state::StateFileIndex::State& one : index.states) {
    states[id_of(one.schema)] = {one.schema, one.live};
  }
}

/// The same of a subtask whose state is in RocksDB.
void update_states(const state::RocksIndex& index, States& states) {
  for (const state::RocksIndex::State& one : index.states) {
    std::uint64_t entries = 0;
    for (const state::RocksIndex::Namespace& space : one.namespaces) {
      for (const state::GroupCounts::Count& count : space.groups) {
        entries += count.entries;
      }
    }
    states[id_of(one.schema)] = {one.schema, entries};
  }
}

/// Adds those of one subtask; returns their entries.
std::uint64_t add_states(const States& of_subtask, States& states) {
  std::uint64_t entries = 0;
  for (const auto& [id, one] : of_subtask) {
    StateSummary& summary = states[id];
    summary.schema = one.schema;
    summary.entries += one.entries;
    entries += one.entries;
  }
  return entries;
}

Json to_json(const States& states) {
  Json list = Json::array();
  for (const auto& [id, state] : states) {
    list.push_back({{"name", state.schema.name},
                    {"kind", state.schema.kind == state::StateKind::kTimers ? "timers" : "keyed"},
                    {"key_schema", state.schema.key_schema},
                    {"value_schema", state.schema.value_schema},
                    {"entries", state.entries}});
  }
  return list;
}

/// A manifest lists subtasks in the order in which they answered.
template <class T>
std::vector<T> in_order(std::vector<T> subtasks) {
  std::sort(subtasks.begin(), subtasks.end(),
            [](const T& a, const T& b) { return a.subtask < b.subtask; });
  return subtasks;
}

class Describer {
 public:
  Describer(FileSystem& files, const checkpoint::LoadedSnapshot& snapshot, bool has_key_groups)
      : files_(files), snapshot_(snapshot), has_key_groups_(has_key_groups) {}

  Result<Json> run() const {
    const checkpoint::Manifest& manifest = snapshot_.manifest;
    Json json = summary_of(snapshot_);
    json["operators"] = Json::array();
    for (const checkpoint::OperatorSnapshot& op : manifest.operators) {
      WEIR_ASSIGN(Json described, describe(op));
      json["operators"].push_back(std::move(described));
    }
    json["sources"] = Json::array();
    for (const checkpoint::SourceSnapshot& source : manifest.sources) {
      json["sources"].push_back(describe(source));
    }
    json["sinks"] = Json::array();
    for (const checkpoint::SinkSnapshot& sink : manifest.sinks) {
      json["sinks"].push_back(describe(sink));
    }
    json["edges"] = Json::array();
    for (const checkpoint::EdgeSnapshot& edge : manifest.edges) {
      json["edges"].push_back({{"name", edge.name}, {"records", edge.sender_count}});
    }
    json["in_flight"] = Json::array();
    for (const checkpoint::InFlightSnapshot& item : manifest.in_flight) {
      json["in_flight"].push_back(describe(item));
    }
    return json;
  }

 private:
  Result<Json> describe(const checkpoint::OperatorSnapshot& op) const {
    Json json{{"uid", op.uid},
              {"name", op.name},
              {"parallelism", op.parallelism},
              {"max_parallelism", op.max_parallelism},
              {"size_bytes", checkpoint::bytes_of(op)}};
    States states;
    std::map<int, state::KeyGroupSize> groups;
    Json subtasks = Json::array();
    for (const checkpoint::SubtaskSnapshot& subtask : in_order(op.subtasks)) {
      Json described = describe(subtask);
      States of_subtask;
      for (const checkpoint::StateHandle& handle : subtask.files) {
        WEIR_TRY(read_file(handle, of_subtask));
      }
      if (has_key_groups_) {
        WEIR_TRY(survey(op, subtask, groups));
      }
      described["entries"] = add_states(of_subtask, states);
      subtasks.push_back(std::move(described));
    }
    json["states"] = to_json(states);
    json["lists"] = describe_lists(op);
    json["subtasks"] = std::move(subtasks);
    if (has_key_groups_) {
      json["key_groups"] = Json::array();
      for (const auto& [number, group] : groups) {
        json["key_groups"].push_back(
            {{"key_group", number}, {"entries", group.entries}, {"bytes", group.bytes}});
      }
    }
    return json;
  }

  static Json describe(const checkpoint::SubtaskSnapshot& subtask) {
    Json json{{"subtask", subtask.subtask},
              {"is_finished", subtask.is_finished},
              {"watermark_min", subtask.watermark_min},
              {"watermark_max", subtask.watermark_max},
              {"files", Json::array()},
              {"entries", std::uint64_t{0}}};
    for (const checkpoint::StateHandle& handle : subtask.files) {
      json["files"].push_back({{"path", handle.file.path},
                               {"kind", handle.kind},
                               {"length_bytes", handle.file.length_bytes},
                               {"first_key_group", handle.key_groups.first},
                               {"last_key_group", handle.key_groups.last}});
    }
    return json;
  }

  Status read_file(const checkpoint::StateHandle& handle, States& states) const {
    const std::string path = join_path(snapshot_.location.root, handle.file.path);
    if (checkpoint::is_state_file(handle)) {
      WEIR_ASSIGN(const state::StateFileIndex index, state::read_state_file_index(files_, path));
      update_states(index, states);
    } else if (handle.kind == checkpoint::kRocksDbKind && handle.meta == state::kRocksIndexMeta) {
      WEIR_ASSIGN(
          const state::RocksIndex index,
          state::read_rocks_index(files_, {path, {handle.file.length_bytes, handle.file.crc32c}}));
      update_states(index, states);
    }
    return {};
  }

  /// Reads every entry of a subtask; what lies in RocksDB as the state file that it makes.
  Status survey(const checkpoint::OperatorSnapshot& op, const checkpoint::SubtaskSnapshot& subtask,
                std::map<int, state::KeyGroupSize>& groups) const {
    checkpoint::OperatorSnapshot one = op;
    one.subtasks = {subtask};
    WEIR_ASSIGN(const state_processor::StoredState stored,
                state_processor::StoredState::open(files_, one, [&](const std::string& name) {
                  return join_path(snapshot_.location.root, name);
                }));
    for (const state::RestoreFile& file : stored.files()) {
      WEIR_ASSIGN(const state::StateFileSurvey survey, state::survey_state_file(files_, file));
      for (const state::KeyGroupSize& size : survey.key_groups) {
        state::KeyGroupSize& sum = groups[size.key_group];
        sum.entries += size.entries;
        sum.bytes += size.bytes;
      }
    }
    return {};
  }

  static Json describe_lists(const checkpoint::OperatorSnapshot& op) {
    using Redistribution = OperatorStateBackend::Redistribution;
    struct Sum {
      Redistribution redistribution = Redistribution::kSplit;
      std::uint64_t items = 0;
      std::uint64_t bytes = 0;
    };
    std::map<std::string, Sum> sums;
    for (const checkpoint::SubtaskSnapshot& subtask : op.subtasks) {
      for (const checkpoint::ListState& list : subtask.lists) {
        Sum& sum = sums[list.name];
        sum.redistribution = list.redistribution;
        for (const std::string& item : list.items) {
          ++sum.items;
          sum.bytes += item.size();
        }
      }
    }
    Json json = Json::array();
    for (const auto& [name, sum] : sums) {
      const auto schema =
          std::find_if(op.schemas.begin(), op.schemas.end(),
                       [&name = name](const auto& one) { return one.name == name; });
      const bool is_known = schema != op.schemas.end();
      json.push_back(
          {{"name", name},
           {"key_schema", is_known ? schema->key_schema : ""},
           {"value_schema", is_known ? schema->value_schema : ""},
           {"redistribution", sum.redistribution == Redistribution::kSplit   ? "split"
                              : sum.redistribution == Redistribution::kUnion ? "union"
                                                                             : "broadcast"},
           {"items", sum.items},
           {"bytes", sum.bytes}});
    }
    return json;
  }

  static Json describe(const checkpoint::SourceSnapshot& source) {
    Json splits = Json::array();
    for (const checkpoint::ReaderSnapshot& reader : in_order(source.readers)) {
      for (const SourceSplit& split : reader.splits) {
        splits.push_back(
            {{"split", split.id}, {"reader", reader.subtask}, {"position", position_of(split)}});
      }
    }
    const auto finished = std::count_if(source.readers.begin(), source.readers.end(),
                                        [](const auto& reader) { return reader.is_finished; });
    return {{"uid", source.uid},
            {"name", source.name},
            {"parallelism", source.parallelism},
            {"finished_readers", finished},
            {"enumerator_state_bytes", source.enumerator_state.size()},
            {"splits", std::move(splits)}};
  }

  static Json describe(const checkpoint::InFlightSnapshot& item) {
    std::uint64_t records = 0;
    for (const checkpoint::ChannelSnapshot& channel : item.channels) {
      records += channel.record_count;
    }
    return {{"edge", item.edge},
            {"subtask", item.subtask},
            {"channels", item.channels.size()},
            {"records", records},
            {"file", item.file.path.empty() ? Json() : Json(item.file.path)}};
  }

  Json describe(const checkpoint::SinkSnapshot& sink) const {
    Json committables = Json::array();
    for (const Committable& one : sink.committables) {
      committables.push_back({{"subtask", one.id.subtask},
                              {"checkpoint", one.id.checkpoint},
                              {"attempt", one.id.attempt},
                              {"files", one.files},
                              {"payload", payload_of(one, snapshot_.manifest.pipeline_id)}});
    }
    std::uint64_t writer_states = 0;
    for (const checkpoint::WriterSnapshot& writer : sink.writers) {
      writer_states += writer.states.size();
    }
    return {{"uid", sink.uid},
            {"name", sink.name},
            {"parallelism", sink.parallelism},
            {"size_bytes", checkpoint::bytes_of(sink)},
            {"writer_states", writer_states},
            {"committables", std::move(committables)}};
  }

  FileSystem& files_;
  const checkpoint::LoadedSnapshot& snapshot_;
  const bool has_key_groups_;
};

}  // namespace

int describe_snapshot(const std::string& snapshot, const DescribeOptions& options) {
  FileSystem& files = local_file_system();
  const auto loaded = checkpoint::load_snapshot(files, snapshot);
  if (!loaded.ok()) {
    return print_error(loaded.error());
  }
  const auto json = Describer(files, loaded.value(), options.has_key_groups).run();
  if (!json.ok()) {
    // Whatever it was: the snapshot itself is there, so the command line is not to blame.
    (void)print_error(json.error());
    return kExitFailed;
  }
  if (options.is_json) {
    print_json(json.value());
  } else {
    print_text(describe_text(json.value()));
  }
  return kExitOk;
}

}  // namespace weir::cli
