#include "print/print_sink.h"

#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

namespace weir::print {
namespace {

class PrintWriter final : public SinkWriter {
 public:
  PrintWriter(detail::FormatRow format, std::FILE* stream, std::string prefix)
      : format_(std::move(format)), stream_(stream), prefix_(std::move(prefix)) {}

  Status write(const Batch& batch) override {
    text_.clear();
    for (std::size_t row = 0; row < batch.size(); ++row) {
      text_ += prefix_;
      format_(batch, row, text_);
      text_ += '\n';
    }
    // One call for all: the lines of one batch stay together.
    if (std::fwrite(text_.data(), 1, text_.size(), stream_) != text_.size()) {
      return failure();
    }
    return {};
  }

  Status begin_prepare(CheckpointId /*checkpoint*/) override {
    return std::fflush(stream_) == 0 ? Status() : failure();
  }
  Result<std::optional<std::vector<Committable>>> poll_prepared(
      CheckpointId /*checkpoint*/) override {
    return std::optional<std::vector<Committable>>(std::vector<Committable>());
  }
  void close() override { std::fflush(stream_); }

 private:
  static Status failure() {
    return Error{ErrorCode::kIo, std::string("print sink: cannot write: ") + std::strerror(errno)};
  }

  detail::FormatRow format_;
  std::FILE* stream_;
  std::string prefix_;
  std::string text_;
};

class PrintSink final : public Sink {
 public:
  PrintSink(const TypeOps& type, detail::FormatRow format, std::FILE* stream)
      : type_(type), format_(std::move(format)), stream_(stream) {}

  DeliveryGuarantee guarantee() const override { return DeliveryGuarantee::kAtLeastOnce; }
  const TypeOps& record_type() const override { return type_; }
  Status preflight(const SinkContext& /*context*/) override { return {}; }

  Result<std::unique_ptr<SinkWriter>> create_writer(
      SinkWriterContext context, const std::vector<std::string>& /*restored*/) override {
    std::string prefix;
    if (context.subtask.parallelism > 1) {
      prefix = std::to_string(context.subtask.subtask + 1) + "> ";
    }
    return std::unique_ptr<SinkWriter>(
        std::make_unique<PrintWriter>(format_, stream_, std::move(prefix)));
  }
  Result<std::unique_ptr<Committer>> create_committer(const SinkContext& /*context*/) override {
    return std::unique_ptr<Committer>();
  }

 private:
  const TypeOps& type_;
  detail::FormatRow format_;
  std::FILE* stream_;
};

}  // namespace

std::shared_ptr<Sink> detail::make_print_sink(const TypeOps& type, FormatRow format,
                                              std::FILE* stream) {
  return std::make_shared<PrintSink>(type, std::move(format), stream);
}

}  // namespace weir::print
