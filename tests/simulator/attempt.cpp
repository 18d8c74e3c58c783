// The graph of an attempt, its tasks, and what they are restored from.
#include "simulator/attempt.h"

#include <algorithm>
#include <utility>

#include "base/crc32c.h"
#include "checkpoint/redistribution.h"
#include "simulator/codec.h"
#include "simulator/world.h"

namespace weir::simulator {
namespace {

checkpoint::CoordinatorOptions coordinator_options(const Schedule& s, AttemptId attempt,
                                                   CheckpointId first, CheckpointId restored) {
  checkpoint::CoordinatorOptions options;
  options.interval_ms = s.interval_ms;
  options.min_pause_ms = s.min_pause_ms;
  options.timeout_ms = s.timeout_ms;
  options.max_concurrent = s.max_concurrent;
  options.tolerable_failed = s.tolerable_failed;
  options.publish_retry_ms = 10;
  options.final_retry_ms = 10;
  options.attempt = attempt;
  options.first_checkpoint = first;
  options.restored_checkpoint = restored;
  return options;
}

}  // namespace

Attempt::Attempt(World& world, Process& process, checkpoint::CheckpointStore& store,
                 std::optional<checkpoint::Manifest> restored, CheckpointId first_checkpoint)
    : world_(world),
      process_(process),
      store_(store),
      number_(store.attempt()),
      serial_(process.attempt_serial),
      restored_(std::move(restored)),
      coordinator_(coordinator_options(world.schedule(), number_, first_checkpoint,
                                       restored_.has_value() ? restored_->checkpoint : 0)),
      ledger_({.backoff_initial_ms = 4,
               .backoff_max_ms = 40,
               .deadline_ms = world.schedule().commit_deadline_ms}),
      files_(store),
      last_published_(restored_.has_value() ? restored_->checkpoint : 0) {
  build_graph();
}

TimestampMs Attempt::now_ms() const { return world_.now_ms(); }

void Attempt::later(std::int64_t delay_ms, std::function<void()> work) {
  Process& process = process_;
  const std::uint64_t serial = serial_;
  world_.at(now_ms() + delay_ms, &process, [&process, serial, work = std::move(work)] {
    if (process.attempt_serial == serial && !process.attempt->is_over()) {
      work();
    }
  });
}

// ---- graph

void Attempt::build_graph() {
  const Schedule& schedule = world_.schedule();
  int last = add_vertex(Role::kSource, "source", -1);
  if (schedule.has_map) {
    const int map = add_vertex(Role::kMap, "map", -1);
    add_edge(last, map);
    last = map;
  }
  const int keyed = add_vertex(Role::kKeyed, "keyed", -1);
  add_edge(last, keyed);
  for (int sink = 0; sink < schedule.sink_count; ++sink) {
    add_edge(keyed, add_vertex(Role::kSink, "sink-" + std::to_string(sink), sink));
  }
  int tasks = 0;
  for (Vertex& vertex : vertices_) {
    vertex.first_task = tasks;
    tasks += vertex.parallelism;
  }
  for (std::size_t i = 0; i < edges_.size(); ++i) {
    connect(edges_[i], static_cast<int>(i));
  }
  for (std::size_t v = 0; v < vertices_.size(); ++v) {
    for (int subtask = 0; subtask < vertices_[v].parallelism; ++subtask) {
      const int id = static_cast<int>(tasks_.size());
      std::vector<int> inputs;
      for (std::size_t c = 0; c < channels_.size(); ++c) {
        if (channels_[c].receiver == id) {
          inputs.push_back(static_cast<int>(c));
        }
      }
      tasks_.push_back(
          std::make_unique<Task>(*this, id, static_cast<int>(v), subtask, inputs.size()));
      tasks_.back()->inputs = std::move(inputs);
      for (std::size_t c = 0; c < channels_.size(); ++c) {
        if (channels_[c].sender == id) {
          tasks_.back()->outputs.push_back(static_cast<int>(c));
        }
      }
    }
  }
}

int Attempt::add_vertex(Role role, const std::string& uid, int sink) {
  const Schedule& schedule = world_.schedule();
  Vertex vertex;
  vertex.role = role;
  vertex.uid = uid;
  vertex.sink = sink;
  vertex.parallelism = schedule.is_rescaled ? draw_parallelism(world_.chance())
                                            : schedule.parallelism[static_cast<std::size_t>(role)];
  vertices_.push_back(std::move(vertex));
  return static_cast<int>(vertices_.size()) - 1;
}

void Attempt::add_edge(int from, int to) {
  const int index = static_cast<int>(edges_.size());
  Vertex& sender = vertices_[static_cast<std::size_t>(from)];
  Vertex& receiver = vertices_[static_cast<std::size_t>(to)];
  sender.outputs.push_back(index);
  receiver.inputs.push_back(index);
  const bool is_forward = world_.schedule().are_edges_forward && receiver.role != Role::kKeyed &&
                          sender.parallelism == receiver.parallelism;
  edges_.push_back({sender.uid + "->" + receiver.uid, from, to, is_forward});
}

void Attempt::connect(const Edge& edge, int index) {
  const Vertex& from = vertex(edge.from);
  const Vertex& to = vertex(edge.to);
  for (int i = 0; i < from.parallelism; ++i) {
    for (int j = 0; j < to.parallelism; ++j) {
      if (!edge.is_forward || i == j) {
        channels_.push_back({index, from.first_task + i, to.first_task + j, {}, 0});
      }
    }
  }
}

// ---- restore

Status Attempt::start() {
  act_on(coordinator_.on_start(now_ms()));
  WEIR_TRY(restore_tasks());
  if (restored_.has_value()) {
    files_.adopt(*restored_);
    built_upon_.on_complete(*restored_);
    restored_committables_ = checkpoint::restored_committables(*restored_);
  }
  std::vector<std::string> uids;
  for (const Vertex& vertex : vertices_) {
    if (vertex.role == Role::kSink) {
      uids.push_back(vertex.uid);
    }
  }
  act_on_ledger(ledger_.restore(uids, restored_committables_, now_ms()));
  return {};
}

Status Attempt::restore_tasks() {
  const Schedule& schedule = world_.schedule();
  const Vertex& source = vertices_.front();
  if (!restored_.has_value()) {
    for (int split = 0; split < schedule.split_count; ++split) {
      tasks_[static_cast<std::size_t>(split % source.parallelism)]->restore_split({split, 0});
    }
    return {};
  }
  const checkpoint::SourceSnapshot* stored = find_uid(restored_->sources, source.uid);
  WEIR_ASSIGN(const auto dealt, checkpoint::redistribute_splits(*stored, source.parallelism));
  for (std::size_t subtask = 0; subtask < dealt.size(); ++subtask) {
    for (const SourceSplit& split : dealt[subtask]) {
      tasks_[subtask]->restore_split({std::stoi(split.id), std::stoi(split.state)});
    }
  }
  for (const Vertex& vertex : vertices_) {
    if (vertex.role == Role::kKeyed) {
      WEIR_TRY(restore_keyed(*find_uid(restored_->operators, vertex.uid), vertex));
    } else if (vertex.role == Role::kMap) {
      WEIR_TRY(restore_lists(*find_uid(restored_->operators, vertex.uid), vertex));
    }
  }
  for (const Edge& edge : edges_) {
    WEIR_TRY(restore_under_way(edge));
  }
  return {};
}

Status Attempt::restore_under_way(const Edge& edge) {
  std::vector<const checkpoint::InFlightSnapshot*> of_edge;
  for (const checkpoint::InFlightSnapshot& item : restored_->in_flight) {
    if (item.edge == edge.name) {
      of_edge.push_back(&item);
    }
  }
  const Vertex& to = vertex(edge.to);
  const int max_parallelism = world_.schedule().max_parallelism;
  const auto shares = checkpoint::redistribute_in_flight(
      of_edge, checkpoint::InFlightRouting::kKeyGroups, to.parallelism, max_parallelism);
  for (std::size_t subtask = 0; subtask < shares.size(); ++subtask) {
    Task& task = *tasks_[static_cast<std::size_t>(to.first_task) + subtask];
    const KeyGroupRange own =
        key_groups_of_subtask(static_cast<int>(subtask), max_parallelism, to.parallelism);
    for (const checkpoint::InFlightShare& share : shares[subtask]) {
      const auto bytes = store_.files().read(store_.path_of(share.from->file.path));
      WEIR_TRY(bytes.status());
      for (const checkpoint::ChannelSnapshot& channel : share.from->channels) {
        std::vector<Record> records = decode_records(
            std::string_view(bytes.value())
                .substr(channel.offset, channel.record_count * 2 * sizeof(std::int32_t)));
        if (!share.is_whole) {
          std::erase_if(records, [&](const Record& record) {
            return !own.contains(
                key_group_of(static_cast<std::uint32_t>(record.key), max_parallelism));
          });
        }
        task.restore_under_way(
            {static_cast<int>(&edge - edges_.data()), channel.sender, std::move(records)});
      }
    }
  }
  return {};
}

Status Attempt::restore_keyed(const checkpoint::OperatorSnapshot& snapshot, const Vertex& vertex) {
  WEIR_ASSIGN(const int max_parallelism,
              checkpoint::resolve_max_parallelism(snapshot, world_.schedule().max_parallelism, true,
                                                  vertex.parallelism));
  for (int subtask = 0; subtask < vertex.parallelism; ++subtask) {
    Task& task = *tasks_[static_cast<std::size_t>(vertex.first_task + subtask)];
    std::vector<checkpoint::StateHandle> chain;
    for (const auto& item : checkpoint::keyed_files_for(snapshot, subtask, vertex.parallelism)) {
      const checkpoint::FileReference& file = item.handle.file;
      const auto bytes = store_.files().read(store_.path_of(file.path));
      world_.expect(
          bytes.ok() || bytes.error().code != ErrorCode::kNotFound || !world_.is_leading(number_),
          "a restored checkpoint has all its files: " + file.path + " of checkpoint " +
              std::to_string(restored_->checkpoint));
      WEIR_TRY(bytes.status());
      world_.expect(
          bytes.value().size() == file.length_bytes && crc32c(bytes.value()) == file.crc32c,
          "a restored file has the bytes that its manifest says: " + file.path);
      for (const auto& [key, next] : decode_pairs(bytes.value())) {
        if (item.key_groups.contains(
                key_group_of(static_cast<std::uint32_t>(key), max_parallelism))) {
          task.restore_value(key, next);
        }
      }
      chain.push_back(item.handle);
    }
    task.restore_chain(restored_->checkpoint, std::move(chain));
  }
  return {};
}

Status Attempt::restore_lists(const checkpoint::OperatorSnapshot& snapshot, const Vertex& vertex) {
  WEIR_ASSIGN(const auto dealt, checkpoint::redistribute_lists(snapshot, vertex.parallelism));
  for (std::size_t subtask = 0; subtask < dealt.size(); ++subtask) {
    for (const checkpoint::ListState& list : dealt[subtask]) {
      if (list.name == "counts") {
        for (const std::string& count : list.items) {
          world_.expect(count.find_first_not_of("0123456789") == std::string::npos,
                        "each list state gets its own items back");
          tasks_[static_cast<std::size_t>(vertex.first_task) + subtask]->restore_count(
              std::stoll(count));
        }
      } else if (list.name == "all") {
        world_.expect(list.items.size() == snapshot.subtasks.size(),
                      "union list state reaches every subtask whole");
      } else {
        world_.expect(list.items == std::vector<std::string>{"b"},
                      "broadcast state is the same everywhere after a restore");
      }
    }
  }
  return {};
}

// ---- tasks

void Attempt::run_tasks() {
  world_.trace("running", number_);
  std::vector<checkpoint::TaskId> all;
  for (const auto& task : tasks_) {
    all.push_back(task->id());
  }
  all.push_back(enumerator());
  act_on(coordinator_.on_tasks_running(all, now_ms()));
  act_on(coordinator_.on_task_end_of_data(enumerator(), now_ms()));
  for (const auto& task : tasks_) {
    wake(task->id());
  }
}

void Attempt::push(int channel, const Element& element) {
  Channel& to = channels_[static_cast<std::size_t>(channel)];
  to.elements.push_back(element);
  wake(to.receiver);
}

void Attempt::wake(int task) {
  Task& woken = *tasks_[static_cast<std::size_t>(task)];
  if (!woken.is_step_scheduled) {
    woken.is_step_scheduled = true;
    later(world_.chance().between(0, 6), [this, task] { step(task); });
  }
}

void Attempt::step(int task) {
  Task& stepped = *tasks_[static_cast<std::size_t>(task)];
  stepped.is_step_scheduled = false;
  if (world_.strikes(world_.faults().task_failures, 300)) {
    fail({ErrorCode::kUser, "the user's function failed"});
    return;
  }
  (void)stepped.step();
  if (!is_over_ && stepped.has_work()) {
    wake(task);
  }
}

/// Messages between coordinator and a task keep their order, whatever each one's delay is.
void Attempt::tell(Task& task, std::function<void()> work) {
  task.last_received_ms = std::max(task.last_received_ms, now_ms() + world_.chance().between(0, 5));
  later(task.last_received_ms - now_ms(), std::move(work));
}

void Attempt::on_coordinator(Task& task, std::function<void()> work) {
  task.last_sent_ms = std::max(task.last_sent_ms, now_ms() + world_.chance().between(0, 5));
  later(task.last_sent_ms - now_ms(), std::move(work));
}

void Attempt::report_end(int task) {
  on_coordinator(*tasks_[static_cast<std::size_t>(task)], [this, task] {
    world_.trace("end of data", task);
    act_on(coordinator_.on_task_end_of_data(task, now_ms()));
  });
}

void Attempt::schedule_write(int task, std::int64_t delay_ms) {
  later(delay_ms, [this, task] {
    Task& writer = *tasks_[static_cast<std::size_t>(task)];
    auto snapshot = std::make_shared<std::optional<TaskSnapshot>>(writer.write_snapshot());
    if (!snapshot->has_value()) {
      schedule_write(task, 5);
      return;
    }
    on_coordinator(writer, [this, task, snapshot] { on_snapshot(task, std::move(**snapshot)); });
  });
}

}  // namespace weir::simulator
