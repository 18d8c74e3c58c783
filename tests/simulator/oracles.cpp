// What must be true of every schedule.
#include <algorithm>

#include "checkpoint/garbage.h"
#include "checkpoint/operator_match.h"
#include "simulator/world.h"

namespace weir::simulator {

void World::about_to_publish(const checkpoint::Manifest& manifest) {
  Published& record = checkpoints_[manifest.checkpoint];
  if (record.is_published || record.is_void) {
    return;  // a second try, or one of another attempt that will find the number taken
  }
  record.attempt = manifest.attempt;
  record.files.clear();
  for (const checkpoint::FileReference& file : checkpoint::files_of(manifest)) {
    record.files.push_back(file.path);
  }
  record.transactions.clear();
  for (const checkpoint::SinkSnapshot& sink : manifest.sinks) {
    for (const Committable& committable : sink.committables) {
      record.transactions.push_back(std::stoll(committable.payload));
    }
  }
  record.is_input_done = true;
  for (const checkpoint::SourceSnapshot& source : manifest.sources) {
    for (const checkpoint::ReaderSnapshot& reader : source.readers) {
      for (const SourceSplit& split : reader.splits) {
        record.is_input_done =
            record.is_input_done && std::stoi(split.state) == schedule_.records_per_split;
      }
    }
  }
  if (record.is_input_done) {
    check_counts(manifest);
  }
}

/// The map's list state counts records: rescaling must neither lose nor double an item.
void World::check_counts(const checkpoint::Manifest& manifest) {
  std::int64_t total = 0;
  for (const checkpoint::OperatorSnapshot& item : manifest.operators) {
    for (const checkpoint::SubtaskSnapshot& subtask : item.subtasks) {
      for (const checkpoint::ListState& list : subtask.lists) {
        for (const std::string& count : list.items) {
          total += list.name == "counts" ? std::stoll(count) : 0;
        }
      }
    }
  }
  for (const checkpoint::InFlightSnapshot& item : manifest.in_flight) {
    for (const checkpoint::ChannelSnapshot& channel : item.channels) {
      total += item.edge == "source->map" ? static_cast<std::int64_t>(channel.record_count) : 0;
    }
  }
  expect(!schedule_.has_map || schedule_.is_at_least_once || total == schedule_.record_count(),
         "split list state holds every item once: " + std::to_string(total) + " of " +
             std::to_string(schedule_.record_count()) + " records");
}

/// Called at the very moment at which a published file comes to exist.
void World::on_manifest(const std::string& path) {
  const std::string prefix = root() + "/";
  if (!path.ends_with("/_metadata") || !path.starts_with(prefix) ||
      checkpoint::CheckpointStore::is_seal(disk_.find(path)->content)) {
    return;
  }
  const CheckpointId id = checkpoint::checkpoint_of_path(path.substr(prefix.size())).value();
  Published& record = checkpoints_.at(id);
  trace("manifest", id, record.attempt);
  expect(!record.is_published, "a manifest is published at most once per number");
  if (record.attempt < highest_restored_ && id < latest_published()) {
    // Its seal went with the garbage: nobody restores it, and nothing of it may be committed.
    record.is_void = true;
    return;
  }
  expect(record.attempt >= highest_restored_,
         "an attempt publishes nothing after a newer one has read its restore point: checkpoint " +
             std::to_string(id) + " of attempt " + std::to_string(record.attempt) + ", attempt " +
             std::to_string(highest_restored_) + " runs");
  expect(id > latest_published(), "checkpoints are published with rising numbers");
  record.is_published = true;
  existing_.insert(id);
  ++published_count_;
  last_progress_ms_ = std::max(last_progress_ms_, now_ms_);
  for (const std::int64_t transaction : record.transactions) {
    broker_.allow_commit(transaction);
  }
  for (const std::string& file : record.files) {
    const Disk::Node* node = disk_.find(prefix + file);
    expect(node != nullptr,
           "a published checkpoint has all its files: " + file + " of " + std::to_string(id));
    expect(node->is_name_durable && node->synced_bytes == node->content.size(),
           "files are durable before the manifest that names them: " + file);
  }
}

void World::on_file_removed(const std::string& path) {
  const std::string prefix = root() + "/";
  if (!path.starts_with(prefix)) {
    return;
  }
  const std::string name = path.substr(prefix.size());
  if (name.ends_with("/_metadata")) {
    const CheckpointId id = checkpoint::checkpoint_of_path(name).value();
    expect(id != latest_published(), "the latest checkpoint is never removed");
    existing_.erase(id);
    return;
  }
  for (const CheckpointId id : existing_) {
    const std::vector<std::string>& files = checkpoints_.at(id).files;
    expect(std::find(files.begin(), files.end(), name) == files.end(),
           "no file that a published checkpoint names is deleted: " + name + " of " +
               std::to_string(id));
  }
}

CheckpointId World::latest_published() const { return existing_.empty() ? 0 : *existing_.rbegin(); }

bool World::was_published(CheckpointId checkpoint) const {
  const auto found = checkpoints_.find(checkpoint);
  // A plain savepoint lies elsewhere and is announced to nobody.
  return found != checkpoints_.end() && (found->second.is_published || found->second.is_void);
}

void World::on_aborted(CheckpointId checkpoint, AttemptId attempt) {
  // Two attempts may have tried the same number; the directory decided which of them has it.
  const auto found = checkpoints_.find(checkpoint);
  expect(found == checkpoints_.end() || !found->second.is_published ||
             found->second.attempt != attempt,
         "a published checkpoint is not aborted: " + std::to_string(checkpoint));
}

void World::on_begun(CheckpointId checkpoint, AttemptId attempt) {
  if (attempt >= highest_restored_) {
    expect(checkpoint > latest_published(), "checkpoint numbers rise over the whole life of a job");
  }
}

void World::on_restored(const Process& process, const std::optional<checkpoint::Manifest>& manifest,
                        AttemptId attempt) {
  ++attempt_count_;
  const CheckpointId restored = manifest.has_value() ? manifest->checkpoint : 0;
  trace("attempt", attempt, restored, process.id);
  if (attempt > highest_restored_) {
    expect(restored == latest_published(),
           "a restart never goes back behind the latest checkpoint: " + std::to_string(restored) +
               " instead of " + std::to_string(latest_published()));
    highest_restored_ = attempt;
  }
}

/// Jobs that do not fit the checkpoint are refused before anything runs.
void World::refuse_wrong_jobs(const checkpoint::Manifest& manifest) {
  std::vector<checkpoint::JobOperator> job;
  for (const auto& item : manifest.operators) {
    job.push_back({item.uid == "keyed" ? "kyed" : item.uid, ""});
  }
  for (const auto& item : manifest.sources) {
    job.push_back({item.uid, ""});
  }
  for (const auto& item : manifest.sinks) {
    job.push_back({item.uid, ""});
  }
  const bool has_state =
      std::any_of(manifest.operators.begin(), manifest.operators.end(), [](const auto& item) {
        return item.uid == "keyed" &&
               std::any_of(item.subtasks.begin(), item.subtasks.end(),
                           [](const auto& subtask) { return !subtask.files.empty(); });
      });
  const checkpoint::OperatorMatch match = checkpoint::match_operators(manifest, job);
  expect(checkpoint::check_match(manifest, match, false).ok() == !has_state,
         "state that no operator claims is not dropped silently");
}

/// What exists is whole, also after a power cut.
void World::check_published_files(const std::string& when) {
  const std::string prefix = root() + "/";
  for (auto& [id, record] : checkpoints_) {
    const std::string path = prefix + "chk-" + std::to_string(id) + "/_metadata";
    const Disk::Node* manifest = disk_.find(path);
    if (manifest == nullptr || checkpoint::CheckpointStore::is_seal(manifest->content)) {
      expect(!existing_.contains(id), "a published checkpoint stays, " + when);
      continue;
    }
    if (record.is_published) {
      existing_.insert(id);  // its removal may have been undone
    }
    for (const std::string& file : record.files) {
      expect(!record.is_published || disk_.find(prefix + file) != nullptr,
             "a checkpoint that exists has its files, " + when + ": " + file);
    }
  }
}

void World::check_output() {
  expect(broker_.broken().empty(), broker_.broken());
  const int kps = schedule_.keys_per_split;
  for (int sink = 0; sink < schedule_.sink_count; ++sink) {
    for (int key = 0; key < schedule_.split_count * kps; ++key) {
      const int index = key / schedule_.split_count;
      const int wanted = (schedule_.records_per_split - index + kps - 1) / kps;
      expect(broker_.next_of(sink, key) == std::max(0, wanted),
             "every record of key " + std::to_string(key) + " is committed to sink " +
                 std::to_string(sink) + ": " + std::to_string(broker_.next_of(sink, key)) + " of " +
                 std::to_string(wanted));
    }
  }
  expect(broker_.open_count() == 0, "no transaction stays open behind the end of the job");
}

/// O7: after the grace time only what retained manifests name is left.
void World::check_garbage() {
  official_ = nullptr;
  for (const auto& process : processes_) {
    process->is_dead = true;
  }
  lock_holder_ = nullptr;
  events_.clear();
  Process& cleaner = start_process();
  while (run_next() && cleaner.attempt == nullptr) {
  }
  cleaner.is_dead = true;
  cleaner.clock->jump(schedule_.grace_ms() + 7'200'000);
  const Status collected =
      cleaner.store->collect_garbage({schedule_.num_retained, schedule_.grace_ms()}, {}, {});
  expect(collected.ok(), "garbage can be collected when nothing fails");
  std::set<std::string> named;
  for (const CheckpointId id : existing_) {
    named.insert(checkpoints_.at(id).files.begin(), checkpoints_.at(id).files.end());
  }
  for (const auto& [id, record] : checkpoints_) {
    if (record.is_void) {
      named.insert(record.files.begin(), record.files.end());
    }
  }
  expect(static_cast<int>(existing_.size()) <= schedule_.num_retained,
         "no more checkpoints are kept than were asked for");
  const std::string prefix = root() + "/";
  for (const auto& [path, node] : disk_.nodes()) {
    if (node.is_directory || !path.starts_with(prefix)) {
      continue;
    }
    const std::string name = path.substr(prefix.size());
    const bool is_state = name.starts_with("shared/") || name.starts_with("taskowned/") ||
                          (name.starts_with("chk-") && !name.ends_with("/_metadata"));
    expect(!is_state || named.contains(name), "what no manifest names is gone in the end: " + name);
  }
}

}  // namespace weir::simulator
