#include "kill_plan.h"

#include <algorithm>

namespace demo {
namespace {

enum class Moment { kTimer, kPrepared, kManifest, kCommitting, kRestore };

int below(std::mt19937_64& random, int bound) {
  return static_cast<int>(random() % static_cast<std::uint64_t>(bound));
}

/// What must be there first; the last few are left out when there are fewer kills.
std::vector<Moment> choose_moments(int kills, bool is_exactly_once, std::mt19937_64& random) {
  // Without commits it is between the prepare and the manifest that results show too early.
  std::vector<Moment> moments = {is_exactly_once ? Moment::kManifest : Moment::kPrepared,
                                 Moment::kRestore, Moment::kTimer, Moment::kTimer,
                                 is_exactly_once ? Moment::kPrepared : Moment::kManifest};
  while (moments.size() < static_cast<std::size_t>(kills)) {
    constexpr Moment kAny[] = {Moment::kTimer, Moment::kPrepared, Moment::kManifest,
                               Moment::kCommitting, Moment::kRestore};
    const Moment moment = kAny[below(random, 5)];
    moments.push_back(moment == Moment::kCommitting && !is_exactly_once ? Moment::kTimer : moment);
  }
  moments.resize(static_cast<std::size_t>(kills));
  std::shuffle(moments.begin(), moments.end(), random);
  // The first start has nothing to restore.
  if (!moments.empty() && moments.front() == Moment::kRestore) {
    const auto other = std::find_if(moments.begin(), moments.end(),
                                    [](Moment moment) { return moment != Moment::kRestore; });
    if (other != moments.end()) {
      std::iter_swap(moments.begin(), other);
    }
  }
  return moments;
}

/// Points that every restore passes: before it commits what the checkpoint left open, after that,
/// and when all state is back.
Kill restore_kill(std::mt19937_64& random) {
  const char* const points[] = {"restore.after_load", "restore.after_commit",
                                "restore.tasks_running"};
  return {"during restore", points[below(random, 3)]};
}

}  // namespace

std::vector<Kill> make_kill_plan(int kills, bool is_exactly_once, std::mt19937_64& random) {
  std::vector<Kill> plan;
  for (const Moment moment : choose_moments(kills, is_exactly_once, random)) {
    switch (moment) {
      case Moment::kTimer: {
        const double share = 0.2 + 0.6 * static_cast<double>(below(random, 1000)) / 1000;
        const double place = static_cast<double>(plan.size()) + share;
        plan.push_back({"at a random moment", "", place / (kills + 1), below(random, 900)});
        break;
      }
      case Moment::kPrepared:
        // The second, so that there is a checkpoint to go back to.
        plan.push_back(
            {"between the prepared files and the manifest", "checkpoint.before_manifest:2"});
        break;
      case Moment::kManifest:
        plan.push_back({"between the manifest and the commit", "checkpoint.after_manifest"});
        break;
      case Moment::kCommitting:
        plan.push_back({"between two renames of the commit",
                        "file.commit.after_rename:" + std::to_string(1 + below(random, 3))});
        break;
      case Moment::kRestore:
        plan.push_back(restore_kill(random));
        break;
    }
  }
  return plan;
}

}  // namespace demo
