#include "checkpoint/operator_match.h"
#include "base/planted_bug.h"

#include <algorithm>
#include <iterator>
#include <set>

namespace weir::checkpoint {
namespace {

bool has_state(const OperatorSnapshot& snapshot) {
  return std::any_of(
      snapshot.subtasks.begin(), snapshot.subtasks.end(), [](const SubtaskSnapshot& subtask) {
        return !subtask.files.empty() ||
               std::any_of(subtask.lists.begin(), subtask.lists.end(),
                           [](const ListState& list) { return !list.items.empty(); });
      });
}

std::string join(const std::vector<std::string>& uids) {
  std::string text;
  for (const std::string& uid : uids) {
    text += (text.empty() ? "" : ", ") + uid;
  }
  return text.empty() ? "none" : text;
}

}  // namespace

std::string OperatorMatch::to_string() const {
  return "matched: " + join(matched) + "; dropped: " + join(dropped) + "; new: " + join(fresh);
}

OperatorMatch match_operators(const Manifest& manifest, const std::vector<JobOperator>& job) {
  std::set<std::string> known;     // everything the snapshot names
  std::set<std::string> stateful;  // what would be lost
  for (const OperatorSnapshot& item : manifest.operators) {
    known.insert(item.uid);
    if (has_state(item)) {
      stateful.insert(item.uid);
    }
  }
  for (const SourceSnapshot& source : manifest.sources) {
    known.insert(source.uid);
    stateful.insert(source.uid);
  }
  for (const SinkSnapshot& sink : manifest.sinks) {
    known.insert(sink.uid);
    const bool has_writer_state =
        std::any_of(sink.writers.begin(), sink.writers.end(),
                    [](const WriterSnapshot& writer) { return !writer.states.empty(); });
    if (has_writer_state || !sink.committables.empty()) {
      stateful.insert(sink.uid);
    }
  }
  std::set<std::string> wanted;
  for (const JobOperator& item : job) {
    wanted.insert(item.uid);
  }
  OperatorMatch match;
  std::set_intersection(wanted.begin(), wanted.end(), known.begin(), known.end(),
                        std::back_inserter(match.matched));
  std::set_difference(stateful.begin(), stateful.end(), wanted.begin(), wanted.end(),
                      std::back_inserter(match.dropped));
  std::set_difference(wanted.begin(), wanted.end(), known.begin(), known.end(),
                      std::back_inserter(match.fresh));
  return match;
}

Status check_match(const Manifest& manifest, const OperatorMatch& match,
                   bool ignore_unclaimed_state) {
  for (const SinkSnapshot& sink : manifest.sinks) {
    const bool is_dropped =
        std::find(match.dropped.begin(), match.dropped.end(), sink.uid) != match.dropped.end();
    if (is_dropped && !sink.committables.empty()) {
      return Error{ErrorCode::kInvalidArgument,
                   "checkpoint " + std::to_string(manifest.checkpoint) + " holds " +
                       std::to_string(sink.committables.size()) + " uncommitted results of sink " +
                       sink.uid +
                       ", which the job does not have; start once with the sink so that they are "
                       "committed (" +
                       match.to_string() + ")"};
    }
  }
  if (!match.dropped.empty() && !ignore_unclaimed_state && !planted_bug("M4")) {
    return Error{ErrorCode::kInvalidArgument,
                 "checkpoint " + std::to_string(manifest.checkpoint) +
                     " holds state that no operator of the job claims (" + match.to_string() +
                     "); give the operators their former uids, or set "
                     "execution.state-recovery.ignore-unclaimed-state to drop it"};
  }
  return {};
}

}  // namespace weir::checkpoint
