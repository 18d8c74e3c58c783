#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kafka/partition_split.h"
#include "kafka/rd_client.h"
#include "kafka/source_core.h"

namespace weir::kafka {

/// Reads partitions on the task's thread, each from a queue of its own, without ever waiting.
///
/// Uses librdkafka's per-partition consume calls: no group membership, no assignment that could
/// change under a batch, and neither pause nor seek (the batch calls of 2.0 skip or repeat offsets
/// when these happen meanwhile). Back-pressure is not reading: the client stops fetching a
/// partition when its queue holds queued.max.messages.kbytes.
///
/// Invariant: the position of a partition only rises.
class KafkaSourceReader final : public SourceReader {
 public:
  KafkaSourceReader(const SourceOptions& options, SourceReaderContext context);
  ~KafkaSourceReader() override;

  Status start() override;
  Status add_splits(std::vector<SourceSplit> splits) override;
  void no_more_splits() override { has_all_splits_ = true; }
  Result<PollResult> poll(SourceOutput& output) override;
  std::vector<SourceSplit> snapshot(CheckpointId checkpoint) override;
  void notify_checkpoint_complete(CheckpointId checkpoint) override;
  void close() override;

 private:
  struct Partition {
    PartitionSplit split;
    std::string id;
    RdPtr<rd_kafka_topic_t> topic;
    RdPtr<rd_kafka_queue_t> queue;
    bool is_finished = false;
    bool is_reported = false;  ///< split_finished() was called
  };

  static void on_error(rd_kafka_t* client, int code, const char* reason, void* self);
  static void on_commit(rd_kafka_t* client, rd_kafka_resp_err_t code,
                        rd_kafka_topic_partition_list_t* offsets, void* self);
  static void on_queue(rd_kafka_t* client, void* self);

  /// A client whose queues for so many partitions keep to the memory of this reader; reopens the
  /// partitions that were open.
  Status open_client(std::size_t partitions);
  void close_client();
  std::int64_t queue_kbytes(std::size_t partitions) const;
  Result<RdPtr<rd_kafka_conf_t>> make_conf(std::int64_t queue_kbytes);
  Status open_partition(Partition& partition);
  /// Reads what is there of one partition; true when something was emitted.
  Result<bool> read_partition(Partition& partition, SourceOutput& output);
  Status take_event(Partition& partition, const rd_kafka_message_t& message);
  Status count_bad(std::int64_t messages, std::int64_t bad);
  void report_pending();

  const SourceOptions options_;
  const SourceReaderContext context_;
  const std::shared_ptr<Waker> waker_;
  RdPtr<rd_kafka_t> client_;
  std::int64_t queue_kbytes_ = 0;     ///< of the client, per partition
  std::deque<Partition> partitions_;  // destroyed before the client
  std::size_t next_partition_ = 0;
  bool has_all_splits_ = false;
  Status error_;
  std::vector<ConsumedMessage> messages_;  ///< of the run that is being read; reused
  RecordCollector collector_;
  std::int64_t messages_seen_ = 0;
  std::int64_t bad_seen_ = 0;
  using Positions = std::vector<std::pair<TopicPartition, std::int64_t>>;
  std::map<CheckpointId, Positions> positions_at_;
  Counter* num_records_in_errors_ = nullptr;
  Counter* commits_succeeded_ = nullptr;
  Counter* commits_failed_ = nullptr;
  Gauge* pending_records_ = nullptr;
};

}  // namespace weir::kafka
