#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kafka/kafka_source.h"
#include "kafka/test_host.h"

namespace weir::kafka::test {

/// What a source emitted, by split.
class CollectedOutput final : public SourceOutput {
 public:
  void emit(const std::string& split_id, BatchPtr batch) override {
    for (std::size_t i = 0; i < batch->size(); ++i) {
      if (batch->type().name == type_ops<Line>().name) {
        lines[split_id].push_back(batch->records<Line>()[i].text);
      } else {
        parsed.push_back(batch->records<Parsed<Line>>()[i]);
      }
      timestamps.push_back(batch->timestamps()[i]);
    }
  }
  void split_finished(const std::string& split_id) override { finished.push_back(split_id); }
  std::vector<std::string> all() const {
    std::vector<std::string> every;
    for (const auto& [split, some] : lines) {
      every.insert(every.end(), some.begin(), some.end());
    }
    return every;
  }

  std::map<std::string, std::vector<std::string>> lines;
  std::vector<Parsed<Line>> parsed;
  std::vector<TimestampMs> timestamps;
  std::vector<std::string> finished;
};

/// Drives an enumerator and the readers of one source as the runtime would.
class SourceHost final : public EnumeratorContext {
 public:
  struct Restored {
    std::string enumerator;
    std::vector<SourceSplit> splits;
  };

  explicit SourceHost(std::shared_ptr<Source> source, int parallelism = 1)
      : source_(std::move(source)), parallelism_(parallelism) {}

  Status start();
  Status restore(const Restored& from);
  Restored snapshot(CheckpointId checkpoint);
  void complete(CheckpointId checkpoint);
  SplitEnumerator& enumerator() { return *enumerator_; }
  /// Polls all readers until they are finished, `count` records came, or 20 s passed.
  Status read(std::size_t count = SIZE_MAX);
  bool is_finished() const { return is_finished_; }

  int parallelism() const override { return parallelism_; }
  void assign(int subtask, std::vector<SourceSplit> splits) override;
  void signal_no_more_splits(int subtask) override;
  MetricGroup& metrics() override { return metrics_; }

  CollectedOutput output;
  TestMetrics metrics_;
  Status assign_error;
  std::int64_t queue_bytes = 0;  ///< of each reader; set before start()

 private:
  Status make_readers();

  std::shared_ptr<Source> source_;
  int parallelism_;
  std::unique_ptr<SplitEnumerator> enumerator_;
  std::vector<std::unique_ptr<SourceReader>> readers_;
  bool is_finished_ = false;
};

/// A builder with what every test source has.
KafkaSourceBuilder<Line> line_source(const std::string& topic);

}  // namespace weir::kafka::test
