#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kafka/protocol.h"
#include "kafka/recovery_client.h"
#include "weir/result.h"
#include "weir/sink.h"

namespace weir::kafka {

/// What the manifest keeps of one prepared transaction: enough to commit it from any process.
/// Encoded as its members in order (docs/formats/kafka.md). No secrets.
struct PreparedTransaction {
  std::uint32_t format = 1;
  std::string transactional_id;
  std::int64_t producer_id = -1;
  std::int16_t producer_epoch = -1;
  std::string topic;  ///< the sink's topic; the marker lies on its partition 0
  std::string marker_group;
  std::int64_t record_count = 0;
  std::int64_t prepared_at_ms = 0;  ///< wall clock
  bool has_replay_log = false;      ///< Committable::files are its chunks, in order

  ProducerIdentity identity() const { return {transactional_id, producer_id, producer_epoch}; }
  MarkerPlace marker_place() const { return {marker_group, topic}; }
};

/// What a writer keeps in the checkpoint: which ids it may have opened transactions with.
struct WriterState {
  std::uint32_t format = 1;
  std::string prefix;
  std::int32_t subtask = 0;
  std::vector<std::string> transactional_ids;
};

Result<PreparedTransaction> decode_prepared(const Committable& committable);
Result<WriterState> decode_writer_state(const std::string& bytes);

/// `<prefix>-<subtask>-<slot>`.
std::string transactional_id(const std::string& prefix, int subtask, int slot);
/// True for ids of exactly this prefix, of any subtask and slot.
bool is_id_of_prefix(std::string_view id, std::string_view prefix);
/// The prefix itself, or, over 180 bytes, its beginning and a hash of the whole (brokers and
/// tools limit ids to about 250 bytes).
std::string bounded_name(const std::string& name);
/// The prefix of a sink that was given none.
std::string default_prefix(const SinkContext& context);
/// The group of one slot's markers. Each transactional id has a group of its own: an offset that an
/// open transaction holds back makes the marker unreadable, and a transaction left open by a crash
/// must not hide the marker of another one.
std::string marker_group(const SinkContext& context, int subtask, int slot);

}  // namespace weir::kafka
