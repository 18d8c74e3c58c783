#include "checkpoint/redistribution.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "base/planted_bug.h"
#include "weir/check.h"

namespace weir::checkpoint {
namespace {

using Redistribution = OperatorStateBackend::Redistribution;
using Items = std::vector<std::string>;

KeyGroupRange intersect(const KeyGroupRange& a, const KeyGroupRange& b) {
  const KeyGroupRange both{std::max(a.first, b.first), std::min(a.last, b.last)};
  return both.last < both.first ? KeyGroupRange{} : both;
}

/// Pointers to the elements in the order of their subtask.
template <class T>
std::vector<const T*> by_subtask(const std::vector<T>& items) {
  std::vector<const T*> sorted;
  for (const T& item : items) {
    sorted.push_back(&item);
  }
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const T* a, const T* b) { return a->subtask < b->subtask; });
  return sorted;
}

/// Cuts `items` into `parts` consecutive runs of floor(n / parts), the first n mod parts of them
/// one longer; run i goes to part (start + i) mod parts. As Flink's
/// RoundRobinOperatorStateRepartitioner, the next start is the first part without an extra item.
template <class T>
std::vector<std::vector<T>> deal(std::vector<T> items, int parts, int start, int* next_start) {
  WEIR_CHECK(parts > 0 && start >= 0 && start < parts);
  std::vector<std::vector<T>> result(static_cast<std::size_t>(parts));
  const auto count = static_cast<std::size_t>(parts);
  const std::size_t base = items.size() / count;
  const std::size_t longer = items.size() % count;
  std::size_t next = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t size = base + (i < longer ? 1 : 0);
    std::vector<T>& part = result[(static_cast<std::size_t>(start) + i) % count];
    for (std::size_t j = 0; j < size; ++j) {
      part.push_back(std::move(items[next++]));
    }
  }
  if (next_start != nullptr) {
    *next_start = static_cast<int>((static_cast<std::size_t>(start) + longer) % count);
  }
  return result;
}

/// Everything stored under one name.
struct NamedState {
  Redistribution redistribution = Redistribution::kSplit;
  std::map<int, Items> items;  ///< of the subtasks that reported
};

/// Broadcast state: an unchanged parallelism keeps each subtask's own copy; else, and where a
/// subtask has none because it had finished, the copies are dealt i mod (number of copies).
const Items& broadcast_copy(const NamedState& state, int subtask, bool is_unchanged) {
  const auto own = state.items.find(subtask);
  if (is_unchanged && own != state.items.end()) {
    return own->second;
  }
  return std::next(state.items.begin(), subtask % static_cast<int>(state.items.size()))->second;
}

Items all_items(const NamedState& state) {
  Items all;
  for (const auto& [subtask, items] : state.items) {
    all.insert(all.end(), items.begin(), items.end());
  }
  return all;
}

std::vector<Items> split_state(const NamedState& state, const OperatorSnapshot& snapshot,
                               int parallelism, int* start) {
  std::vector<Items> items(static_cast<std::size_t>(snapshot.parallelism));
  for (const auto& [subtask, own] : state.items) {
    items[static_cast<std::size_t>(subtask)] = own;
  }
  return split_items(items, parallelism, *start, start);
}

/// Union list state: everybody gets all items, its own share of them last.
std::vector<ListState> union_state(const std::string& name, std::vector<Items> shares) {
  std::vector<ListState> lists;
  for (std::size_t own = 0; own < shares.size(); ++own) {
    ListState list{name, Redistribution::kUnion, {}};
    for (std::size_t i = 0; i < shares.size(); ++i) {
      if (i != own) {
        list.items.insert(list.items.end(), shares[i].begin(), shares[i].end());
      }
    }
    list.others = list.items.size();
    list.items.insert(list.items.end(), shares[own].begin(), shares[own].end());
    lists.push_back(std::move(list));
  }
  return lists;
}

}  // namespace

std::vector<StateFileToRead> keyed_files_for(const OperatorSnapshot& snapshot, int subtask,
                                             int parallelism) {
  const int groups = planted_bug("N13") ? 2 * parallelism : snapshot.max_parallelism;
  const KeyGroupRange own = key_groups_of_subtask(subtask, groups, parallelism);
  std::vector<StateFileToRead> files;
  for (const SubtaskSnapshot* old : by_subtask(snapshot.subtasks)) {
    // What an old subtask did not own at the snapshot is left over in a shared file: not its own.
    const KeyGroupRange wanted = intersect(
        own, key_groups_of_subtask(old->subtask, snapshot.max_parallelism, snapshot.parallelism));
    for (const StateHandle& handle : old->files) {
      const KeyGroupRange both = intersect(handle.key_groups, wanted);
      if (both.size() > 0) {
        files.push_back({handle, old->subtask, both});
      }
    }
  }
  return files;
}

std::vector<KeyGroupWatermark> watermarks_for(const OperatorSnapshot& snapshot, int subtask,
                                              int parallelism) {
  const KeyGroupRange own = key_groups_of_subtask(subtask, snapshot.max_parallelism, parallelism);
  std::vector<KeyGroupWatermark> result;
  for (const SubtaskSnapshot* old : by_subtask(snapshot.subtasks)) {
    const KeyGroupRange wanted = intersect(
        own, key_groups_of_subtask(old->subtask, snapshot.max_parallelism, snapshot.parallelism));
    for (const KeyGroupWatermark& entry : old->key_group_watermarks) {
      const KeyGroupRange both = intersect(entry.key_groups, wanted);
      if (both.size() == 0) {
        continue;
      }
      const bool continues = !result.empty() && result.back().watermark == entry.watermark &&
                             result.back().key_groups.last + 1 == both.first;
      if (continues) {
        result.back().key_groups.last = both.last;
      } else {
        result.push_back({both, entry.watermark});
      }
    }
  }
  return result;
}

Result<int> resolve_max_parallelism(const OperatorSnapshot& snapshot, int job_max_parallelism,
                                    bool is_explicit, int parallelism) {
  if (is_explicit && job_max_parallelism != snapshot.max_parallelism) {
    return Error{ErrorCode::kInvalidArgument,
                 "operator " + snapshot.uid + " was stored with max parallelism " +
                     std::to_string(snapshot.max_parallelism) + ", the job sets " +
                     std::to_string(job_max_parallelism) +
                     "; it cannot change, set pipeline.max-parallelism to the stored value"};
  }
  if (parallelism > snapshot.max_parallelism) {
    return Error{ErrorCode::kInvalidArgument,
                 "operator " + snapshot.uid + " has parallelism " + std::to_string(parallelism) +
                     ", its snapshot allows at most " + std::to_string(snapshot.max_parallelism)};
  }
  return snapshot.max_parallelism;
}

Result<std::vector<std::vector<ListState>>> redistribute_lists(const OperatorSnapshot& snapshot,
                                                               int parallelism) {
  std::map<std::string, NamedState> states;
  for (const SubtaskSnapshot& subtask : snapshot.subtasks) {
    for (const ListState& list : subtask.lists) {
      const auto [at, is_new] = states.try_emplace(list.name);
      if (is_new) {
        at->second.redistribution = list.redistribution;
      } else if (at->second.redistribution != list.redistribution) {
        return Error{ErrorCode::kCorruption, "operator " + snapshot.uid +
                                                 ": subtasks disagree about how list state '" +
                                                 list.name + "' is dealt out"};
      }
      at->second.items[subtask.subtask] = list.items;
    }
  }
  const bool is_unchanged = parallelism == snapshot.parallelism;
  std::vector<std::vector<ListState>> result(static_cast<std::size_t>(parallelism));
  int start = 0;
  for (const auto& [name, state] : states) {
    if (state.redistribution == Redistribution::kUnion) {
      int first = 0;
      auto lists = union_state(name, split_state(state, snapshot, parallelism, &first));
      for (std::size_t i = 0; i < result.size(); ++i) {
        result[i].push_back(std::move(lists[i]));
      }
      continue;
    }
    std::vector<Items> dealt;
    if (state.redistribution == Redistribution::kSplit) {
      dealt = split_state(state, snapshot, parallelism, &start);
    } else {
      for (int i = 0; i < parallelism; ++i) {
        dealt.push_back(planted_bug("H2") ? all_items(state)
                                          : broadcast_copy(state, i, is_unchanged));
      }
    }
    for (std::size_t i = 0; i < result.size(); ++i) {
      result[i].push_back({name, state.redistribution, std::move(dealt[i])});
    }
  }
  for (std::size_t i = 0; planted_bug("H5") && i < result.size(); ++i) {
    std::swap(result[i].front().items, result[i].back().items);
  }
  return result;
}

std::vector<std::vector<std::string>> split_items(
    const std::vector<std::vector<std::string>>& items_by_subtask, int parallelism, int start,
    int* next_start) {
  if (static_cast<int>(items_by_subtask.size()) == parallelism) {
    if (next_start != nullptr) {
      *next_start = start;
    }
    return items_by_subtask;
  }
  Items all;
  for (const Items& items : items_by_subtask) {
    all.insert(all.end(), items.begin(), items.end());
  }
  if (planted_bug("H1") && !all.empty()) {
    all.pop_back();
  }
  return deal(std::move(all), parallelism, start, next_start);
}

Result<std::vector<std::vector<SourceSplit>>> redistribute_splits(const SourceSnapshot& snapshot,
                                                                  int parallelism) {
  std::set<std::string> ids;
  std::vector<SourceSplit> all;
  std::vector<std::vector<SourceSplit>> unchanged(static_cast<std::size_t>(parallelism));
  for (const ReaderSnapshot* reader : by_subtask(snapshot.readers)) {
    for (const SourceSplit& split : reader->splits) {
      if (!ids.insert(split.id).second) {
        return Error{ErrorCode::kCorruption,
                     "source " + snapshot.uid + " has split '" + split.id + "' with two readers"};
      }
      all.push_back(split);
      if (parallelism == snapshot.parallelism) {
        unchanged[static_cast<std::size_t>(reader->subtask)].push_back(split);
      }
    }
  }
  if (planted_bug("H4") && !all.empty()) {
    all.push_back(all.front());
  }
  return parallelism == snapshot.parallelism ? unchanged
                                             : deal(std::move(all), parallelism, 0, nullptr);
}

std::vector<std::vector<std::string>> redistribute_writer_states(const SinkSnapshot& snapshot,
                                                                 int parallelism) {
  std::vector<Items> items(static_cast<std::size_t>(snapshot.parallelism));
  for (const WriterSnapshot& writer : snapshot.writers) {
    items[static_cast<std::size_t>(writer.subtask)] = writer.states;
  }
  return split_items(items, parallelism, 0, nullptr);
}

std::vector<std::string> all_writer_states(const SinkSnapshot& snapshot) {
  Items all;
  for (const WriterSnapshot* writer : by_subtask(snapshot.writers)) {
    all.insert(all.end(), writer->states.begin(), writer->states.end());
  }
  return all;
}

std::vector<std::vector<InFlightShare>> redistribute_in_flight(
    const std::vector<const InFlightSnapshot*>& of_edge, InFlightRouting routing, int parallelism,
    int max_parallelism) {
  std::vector<std::vector<InFlightShare>> shares(static_cast<std::size_t>(parallelism));
  for (const InFlightSnapshot* from : of_edge) {
    if (planted_bug("G4") && from->subtask >= parallelism) {
      continue;
    }
    if (from->receiver_parallelism == parallelism || routing != InFlightRouting::kKeyGroups ||
        planted_bug("G2")) {
      const int to = routing == InFlightRouting::kFirst ? 0 : from->subtask % parallelism;
      shares[static_cast<std::size_t>(to)].push_back({from, true});
      continue;
    }
    const KeyGroupRange old_range =
        key_groups_of_subtask(from->subtask, max_parallelism, from->receiver_parallelism);
    for (int subtask = 0; subtask < parallelism; ++subtask) {
      const KeyGroupRange range = key_groups_of_subtask(subtask, max_parallelism, parallelism);
      if (range.first <= old_range.last && old_range.first <= range.last) {
        const bool is_whole = range.first <= old_range.first && old_range.last <= range.last;
        shares[static_cast<std::size_t>(subtask)].push_back({from, is_whole});
      }
    }
  }
  return shares;
}

std::vector<Committable> restored_committables(const Manifest& manifest) {
  std::vector<Committable> all;
  for (const SinkSnapshot& sink : manifest.sinks) {
    all.insert(all.end(), sink.committables.begin(), sink.committables.end());
  }
  if (planted_bug("H6")) {
    std::erase_if(all, [](const Committable& c) { return c.id.subtask > 0; });
  }
  const auto order = [](const Committable& c) {
    return std::tie(c.id.sink_uid, c.id.subtask, c.id.checkpoint, c.id.attempt);
  };
  std::stable_sort(all.begin(), all.end(),
                   [&](const Committable& a, const Committable& b) { return order(a) < order(b); });
  return all;
}

}  // namespace weir::checkpoint
