#include "runtime/pending_snapshot.h"

#include <algorithm>

namespace weir::runtime {
namespace {

/// Keyed operators store per run of equal watermarks how far their key groups have come.
std::vector<checkpoint::KeyGroupWatermark> watermarks_of(const OperatorChain::Node& node,
                                                         TimestampMs watermark) {
  std::vector<checkpoint::KeyGroupWatermark> runs;
  const KeyGroupRange range = node.info.key_groups;
  for (int group = range.first; group <= range.last; ++group) {
    const auto index = static_cast<std::size_t>(group - range.first);
    const TimestampMs reached = index < node.restored_watermarks.size()
                                    ? std::max(watermark, node.restored_watermarks[index])
                                    : watermark;
    if (!runs.empty() && runs.back().watermark == reached) {
      runs.back().key_groups.last = group;
    } else {
      runs.push_back({{group, group}, reached});
    }
  }
  return runs;
}

}  // namespace

PendingSnapshot::PendingSnapshot(const Barrier& barrier, OperatorChain& chain,
                                 const TaskEnvironment& environment, std::function<void()> wake,
                                 bool awaits_log)
    : barrier_(barrier),
      environment_(environment),
      wake_(std::move(wake)),
      log_name_(awaits_log ? "under-way-" + subtask_name(chain.nodes().front()->info)
                           : std::string()),
      awaits_log_(awaits_log) {
  // A drain is no property of the data: whoever goes on from it is not late for ever.
  const TimestampMs watermark = barrier.is_drain ? chain.watermark_before_end() : chain.watermark();
  for (const auto& node : chain.nodes()) {
    if (node->sink != nullptr) {
      TaskSnapshot::OfSink of_sink;
      of_sink.uid = node->info.uid;
      of_sink.writer = {node->info.subtask, node->sink->snapshot_state(barrier.checkpoint)};
      result_.sinks.push_back(std::move(of_sink));
      sinks_.push_back({node.get(), result_.sinks.size() - 1});
      continue;
    }
    if (node->op == nullptr) {
      continue;
    }
    TaskSnapshot::OfOperator of_operator;
    of_operator.uid = node->info.uid;
    of_operator.snapshot.subtask = node->info.subtask;
    of_operator.snapshot.watermark_min = watermark;
    of_operator.snapshot.watermark_max = watermark;
    for (const auto& [name, list] : node->operator_state.snapshot()) {
      of_operator.snapshot.lists.push_back({name, list.redistribution, list.items});
      if (!list.value_schema.empty()) {
        of_operator.list_schemas.push_back(
            {name, std::string(state::operator_state_kind(list.redistribution)), list.key_schema,
             list.value_schema});
      }
    }
    if (node->keyed_state != nullptr) {
      of_operator.snapshot.key_group_watermarks = watermarks_of(*node, watermark);
    }
    result_.operators.push_back(std::move(of_operator));
    // Without checkpoints the one barrier of a job, its last, has nowhere to store anything.
    if (node->keyed_state != nullptr && environment_.store != nullptr) {
      keyed_.push_back({node.get(), result_.operators.size() - 1,
                        node->keyed_state->start_snapshot(barrier_, wake_)});
    }
  }
}

void PendingSnapshot::store_log(ChannelLog log) {
  if (!awaits_log_ || environment_.store == nullptr) {
    awaits_log_ = false;
    return;
  }
  log_ = std::make_shared<Outcome<ChannelLog::Stored>>();
  const std::string name = environment_.store->new_file_name(checkpoint::FileScope::kExclusive,
                                                             barrier_.checkpoint, log_name_);
  const auto shared_log = std::make_shared<const ChannelLog>(std::move(log));
  environment_.io->run([to = log_, shared_log, name, wake = wake_, store = environment_.store] {
    Result<ChannelLog::Stored> stored = shared_log->store(store->files(), store->path_of(name));
    if (stored.ok() && stored.value().file.length_bytes > 0) {
      stored.value().file.path = name;
    }
    to->set(std::move(stored));
    wake();
  });
}

Status PendingSnapshot::advance(std::int64_t copy_until_ns) {
  copy_slices(copy_until_ns);
  collect_files();
  collect_log();
  return collect_sinks();
}

void PendingSnapshot::copy_slices(std::int64_t until_ns) {
  using Progress = KeyedState::Progress;
  for (KeyedPart& part : keyed_) {
    while (!part.is_copied) {
      const Progress progress = part.node->keyed_state->copy_slice();
      part.is_copied = progress == Progress::kDone;
      if (progress == Progress::kWaiting || environment_.clock->monotonic_ns() >= until_ns) {
        return;
      }
    }
  }
}

void PendingSnapshot::collect_files() {
  for (KeyedPart& part : keyed_) {
    if (part.is_stored) {
      continue;
    }
    auto files = part.snapshot->poll();
    if (!files.has_value()) {
      continue;
    }
    part.is_stored = true;
    part.is_copied = true;
    if (files->ok()) {
      result_.operators[part.operator_index].snapshot.files = std::move(*files).value();
    } else {
      failure_ = failure_.has_value() ? failure_ : files->error();
    }
  }
}

void PendingSnapshot::collect_log() {
  if (log_ == nullptr) {
    return;
  }
  auto stored = log_->take();
  if (!stored.has_value()) {
    return;
  }
  log_.reset();
  awaits_log_ = false;
  if (stored->ok()) {
    result_.in_flight = std::move(*stored).value();
  } else {
    failure_ = failure_.has_value() ? failure_ : stored->error();
  }
}

Status PendingSnapshot::collect_sinks() {
  for (SinkPart& part : sinks_) {
    if (part.is_prepared) {
      continue;
    }
    WEIR_ASSIGN(auto prepared, part.node->sink->poll_prepared(barrier_.checkpoint));
    if (prepared.has_value()) {
      for (Committable& committable : *prepared) {
        committable.id.incarnation = environment_.sink_defaults.incarnation;
      }
      result_.sinks[part.sink_index].committables = std::move(*prepared);
      part.is_prepared = true;
    }
  }
  return {};
}

bool PendingSnapshot::is_copying() const {
  return std::any_of(keyed_.begin(), keyed_.end(),
                     [](const KeyedPart& part) { return !part.is_copied; });
}

bool PendingSnapshot::is_complete() const {
  return !awaits_log_ && std::all_of(keyed_.begin(), keyed_.end(), [](const KeyedPart& part) {
    return part.is_stored;
  }) && std::all_of(sinks_.begin(), sinks_.end(), [](const SinkPart& part) {
    return part.is_prepared;
  });
}

void PendingSnapshot::abort() {
  const Error reason{ErrorCode::kCancelled, "the checkpoint was aborted"};
  for (KeyedPart& part : keyed_) {
    if (!part.is_stored) {
      part.snapshot->abandon(reason, part.is_copied);
    }
    part.is_copied = true;
    // A file that is written already is garbage for the store to collect.
    part.is_stored = true;
  }
  awaits_log_ = false;
  log_.reset();
  failure_ = reason;
}

}  // namespace weir::runtime
