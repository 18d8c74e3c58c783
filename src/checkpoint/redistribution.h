#pragma once

#include <string>
#include <vector>

#include "checkpoint/manifest.h"
#include "weir/key_group.h"
#include "weir/result.h"
#include "weir/sink.h"
#include "weir/source.h"
#include "weir/time.h"

namespace weir::checkpoint {

/// Deals a snapshot out to the subtasks of a job whose parallelism may have changed, by Flink's
/// rules. Pure.

/// A file that a new subtask reads, and the key groups it takes from it.
struct StateFileToRead {
  StateHandle handle;
  int old_subtask = 0;
  KeyGroupRange key_groups;  ///< handle's and the subtask's in common
};

/// Keyed state files of one new subtask, by old subtask and in their stored order.
std::vector<StateFileToRead> keyed_files_for(const OperatorSnapshot& snapshot, int subtask,
                                             int parallelism);

/// Late for good: per run of key groups of one new subtask. Key groups unknown to the snapshot
/// are left out.
std::vector<KeyGroupWatermark> watermarks_for(const OperatorSnapshot& snapshot, int subtask,
                                              int parallelism);

/// The max parallelism to run with. A derived one (not set by the user) gives way to the
/// snapshot's; anything else that differs, or a parallelism above it, is kInvalidArgument.
Result<int> resolve_max_parallelism(const OperatorSnapshot& snapshot, int job_max_parallelism,
                                    bool is_explicit, int parallelism);

/// Operator list state for every new subtask: [subtask] -> lists, sorted by name. Of a union list
/// everybody gets all items, those that are its own to store last; each belongs to one subtask.
/// kCorruption when subtasks disagree about how a name is dealt out.
Result<std::vector<std::vector<ListState>>> redistribute_lists(const OperatorSnapshot& snapshot,
                                                               int parallelism);

/// Items under one name, dealt as split list state: unchanged parallelism keeps each subtask's own,
/// otherwise consecutive runs of floor(n/p), the first n mod p runs one longer, beginning at
/// subtask `start`. Returns the start for the next name through `next_start`.
std::vector<std::vector<std::string>> split_items(
    const std::vector<std::vector<std::string>>& items_by_subtask, int parallelism, int start,
    int* next_start);

/// Splits for every new reader. Every split goes to exactly one; kCorruption when an id occurs
/// twice.
Result<std::vector<std::vector<SourceSplit>>> redistribute_splits(const SourceSnapshot& snapshot,
                                                                  int parallelism);

/// Writer states for every new writer, as split list state.
std::vector<std::vector<std::string>> redistribute_writer_states(const SinkSnapshot& snapshot,
                                                                 int parallelism);
/// The states of all old writers, for Committer::abort_orphans.
std::vector<std::string> all_writer_states(const SinkSnapshot& snapshot);

/// How the records under way along an edge are dealt to the receiving subtasks.
enum class InFlightRouting {
  kKeyGroups,   ///< to the owner of the record's key group
  kRoundRobin,  ///< anybody may have them
  kFirst,       ///< subtask 0
};
/// Something under way that a new subtask replays.
struct InFlightShare {
  const InFlightSnapshot* from = nullptr;
  /// False: other subtasks replay it too, each only the records of its own key groups.
  bool is_whole = true;
};
/// What was under way along one edge, for every new receiver, in the order of replay. Records of
/// one key come from one old receiver, so that their order is kept.
std::vector<std::vector<InFlightShare>> redistribute_in_flight(
    const std::vector<const InFlightSnapshot*>& of_edge, InFlightRouting routing, int parallelism,
    int max_parallelism);

/// Committables of all sinks in the order in which they are committed: sink, subtask, checkpoint,
/// attempt, stored order. Identities are kept whatever the new parallelism is; none is dropped.
std::vector<Committable> restored_committables(const Manifest& manifest);

}  // namespace weir::checkpoint
