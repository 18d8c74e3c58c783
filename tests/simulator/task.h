#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "checkpoint/barrier_aligner.h"
#include "checkpoint/coordinator_action.h"
#include "checkpoint/edge_balance.h"
#include "checkpoint/manifest.h"
#include "checkpoint/state_chain.h"
#include "simulator/broker.h"
#include "weir/key_group.h"

namespace weir::simulator {

class Attempt;

enum class Role { kSource, kMap, kKeyed, kSink };

/// What crosses a channel, in order.
struct Element {
  enum class Kind { kRecord, kBarrier, kCancel, kEnd };
  Kind kind = Kind::kRecord;
  bool is_terminal = false;
  bool can_overtake = false;  ///< a barrier
  Record record;
  CheckpointId checkpoint = 0;
  CheckpointId builds_on = 0;  ///< a barrier
};

struct Channel {
  int edge = 0;
  int sender = 0;    ///< task
  int receiver = 0;  ///< task
  std::vector<Element> elements;
  std::size_t read = 0;

  bool is_empty() const { return read == elements.size(); }
};

struct Edge {
  std::string name;
  int from = 0;  ///< vertex
  int to = 0;    ///< vertex
  bool is_forward = false;
  int first_channel = 0;
};

struct Vertex {
  Role role = Role::kSource;
  std::string uid;
  int sink = -1;
  int parallelism = 1;
  int first_task = 0;
  std::vector<int> inputs;   ///< edges
  std::vector<int> outputs;  ///< edges
};

/// A part of the input that one source reads.
struct Split {
  int index = 0;
  int offset = 0;  ///< of the next record
};

/// One epoch of a sink subtask: what one transaction holds.
struct Epoch {
  std::int64_t transaction = 0;
  std::vector<Record> records;
};

/// What is under way in one channel when a barrier overtakes it, or was when one did.
struct UnderWay {
  int edge = 0;
  int sender = 0;  ///< subtask
  std::vector<Record> records;
};

/// What a task reports for a checkpoint.
struct TaskSnapshot {
  CheckpointId checkpoint = 0;
  bool is_declined = false;
  std::vector<Split> splits;
  checkpoint::SubtaskSnapshot state;
  std::vector<Committable> committables;
  std::vector<checkpoint::EdgeReport> edges;
  std::vector<checkpoint::InFlightSnapshot> in_flight;
};

/// One subtask: the real BarrierAligner in front of a small operator, with snapshots that are
/// captured at the barrier and written later, in order.
class Task {
 public:
  Task(Attempt& attempt, int id, int vertex, int subtask, std::size_t input_count);

  void restore_split(Split split) { splits_.push_back(split); }
  void restore_chain(CheckpointId checkpoint, std::vector<checkpoint::StateHandle> files) {
    chain_.begin(checkpoint, std::move(files), own_key_groups());
  }
  void restore_value(int key, int next) { state_[key] = next; }
  void restore_count(std::int64_t count) { restored_counts_.push_back(count); }
  void restore_under_way(UnderWay channel) { recovered_.push_back(std::move(channel)); }

  /// Does a bounded amount of work; false when there was none to do.
  bool step();
  void on_trigger(const checkpoint::Trigger& trigger);
  void on_aborted(CheckpointId checkpoint, bool is_terminal);
  /// Writes the files of the oldest snapshot that is captured. Nothing = try again later.
  std::optional<TaskSnapshot> write_snapshot();

  int id() const { return id_; }
  int vertex() const { return vertex_; }
  int subtask() const { return subtask_; }
  bool has_work() const;
  KeyGroupRange own_key_groups() const;

  std::vector<int> inputs;   ///< channels, by input of the aligner
  std::vector<int> outputs;  ///< channels, grouped by edge
  bool is_step_scheduled = false;
  TimestampMs last_sent_ms = 0;      ///< messages to the coordinator keep their order
  TimestampMs last_received_ms = 0;  ///< and those from it

 private:
  struct Captured {
    CheckpointId checkpoint = 0;
    TaskSnapshot report;
    std::map<int, int> state;
    checkpoint::StateChain::Base base;
    std::set<int> dirty;  ///< since the base
    std::vector<Epoch> epochs;
    bool is_log_open = false;
    std::vector<UnderWay> under_way;
  };
  /// Of the checkpoint that overtook last.
  struct Log {
    CheckpointId checkpoint = 0;
    std::vector<UnderWay> channels;
    std::size_t first_input = 0;  ///< channels before it are recovered ones
    std::map<int, checkpoint::EdgeSum> received;
  };

  bool emit_from_source();
  bool read_recovered();
  bool read_inputs();
  void handle(std::size_t input, const Element& element);
  void process(const Record& record);
  void act_on(const checkpoint::AlignerVerdict& verdict);
  void send(const Record& record);
  void broadcast(const Element& element);
  void take_announcements();
  void overtake(CheckpointId checkpoint);
  void log(std::size_t input, const Record& record);
  void log_rest(std::size_t input);
  void close_log(CheckpointId checkpoint, bool is_complete);
  Captured* captured_of(CheckpointId checkpoint);
  void report_received(Captured& captured, const std::map<int, checkpoint::EdgeSum>& received);
  Captured& capture(CheckpointId checkpoint);
  void capture_dirty(Captured& captured);
  void end_epoch(Captured& captured);
  bool write_state(Captured& captured);
  bool write_logs(Captured& captured);
  bool write_under_way(Captured& captured);

  Attempt& attempt_;
  const int id_;
  const int vertex_;
  const int subtask_;
  std::optional<checkpoint::BarrierAligner> aligner_;
  bool can_overtake_ = false;
  std::map<CheckpointId, Element> barriers_;  ///< seen
  std::vector<CheckpointId> announced_;       ///< per input, the latest
  std::optional<Log> log_;
  std::deque<UnderWay> recovered_;  ///< replayed before the inputs are read
  std::size_t ends_seen_ = 0;
  bool is_at_end_ = false;
  CheckpointId halted_by_ = 0;  ///< a source emits nothing behind a terminal barrier
  CheckpointId last_trigger_ = 0;

  std::vector<Split> splits_;
  std::map<int, int> state_;  ///< keyed: the next sequence of each key
  std::set<int> dirty_;
  std::map<CheckpointId, std::set<int>> dirty_until_;  ///< what was dirty at earlier barriers
  checkpoint::StateChain chain_;
  std::int64_t count_ = 0;  ///< map: records seen
  std::vector<std::int64_t> restored_counts_;
  std::optional<Epoch> epoch_;

  std::deque<Captured> captured_;
  std::map<int, checkpoint::EdgeSum> sent_;
  std::map<int, checkpoint::EdgeSum> received_;
};

}  // namespace weir::simulator
