#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "recovery/memory_sink.h"

namespace weir::tool {

/// A sink whose committables name files in checkpoint storage, as the replay log of the Kafka sink
/// does: the records of each epoch are in a file and in the payload.
template <class T>
class FilingWriter final : public SinkWriter {
 public:
  explicit FilingWriter(SinkWriterContext context)
      : files_(context.sink.files), inner_(std::move(context)) {}

  Status write(const Batch& batch) override { return inner_.write(batch); }
  Status begin_prepare(CheckpointId checkpoint) override {
    return inner_.begin_prepare(checkpoint);
  }
  Result<std::optional<std::vector<Committable>>> poll_prepared(CheckpointId checkpoint) override {
    WEIR_ASSIGN(auto committables, inner_.poll_prepared(checkpoint));
    for (Committable& committable : *committables) {
      WEIR_ASSIGN(std::string name, files_->write("epoch", committable.payload));
      committable.files.push_back(std::move(name));
    }
    return committables;
  }
  std::vector<std::string> snapshot_state(CheckpointId /*checkpoint*/) override {
    return {"writer"};
  }

 private:
  CheckpointFiles* files_;
  recovery::MemoryWriter<T> inner_;
};

template <class T>
class FilingSink final : public Sink {
 public:
  explicit FilingSink(std::shared_ptr<recovery::Target<T>> target) : target_(std::move(target)) {}
  DeliveryGuarantee guarantee() const override { return DeliveryGuarantee::kExactlyOnce; }
  const TypeOps& record_type() const override { return type_ops<T>(); }
  Status preflight(const SinkContext&) override { return {}; }
  Result<std::unique_ptr<SinkWriter>> create_writer(SinkWriterContext context,
                                                    const std::vector<std::string>&) override {
    return std::unique_ptr<SinkWriter>(std::make_unique<FilingWriter<T>>(std::move(context)));
  }
  Result<std::unique_ptr<Committer>> create_committer(const SinkContext&) override {
    return std::unique_ptr<Committer>(std::make_unique<recovery::MemoryCommitter<T>>(target_));
  }

 private:
  std::shared_ptr<recovery::Target<T>> target_;
};

}  // namespace weir::tool
