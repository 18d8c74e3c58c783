#include "kafka/sink_core.h"

#include "kafka/committer.h"
#include "kafka/transactional_writer.h"

namespace weir::kafka {
namespace {

class KafkaSinkCore final : public Sink {
 public:
  explicit KafkaSinkCore(SinkOptions options) : options_(std::move(options)) {}

  DeliveryGuarantee guarantee() const override { return options_.guarantee; }
  const TypeOps& record_type() const override { return *options_.record_type; }
  Status preflight(const SinkContext& context) override { return check_sink(options_, context); }

  Result<std::unique_ptr<SinkWriter>> create_writer(
      SinkWriterContext context, const std::vector<std::string>& /*restored*/) override {
    if (options_.guarantee != DeliveryGuarantee::kExactlyOnce) {
      return PlainWriter::create(options_, std::move(context));
    }
    if (!context.run_blocking || (options_.keep_replay_log && context.sink.files == nullptr)) {
      return Error{ErrorCode::kInvalidArgument,
                   "kafka: an exactly-once sink needs an I/O executor and checkpoint storage"};
    }
    WEIR_ASSIGN(auto claim, claim_prefix(context.sink));
    return std::unique_ptr<SinkWriter>(
        std::make_unique<TransactionalWriter>(options_, std::move(context), std::move(claim)));
  }

  Result<std::unique_ptr<Committer>> create_committer(const SinkContext& context) override {
    if (options_.guarantee != DeliveryGuarantee::kExactlyOnce) {
      return std::unique_ptr<Committer>();
    }
    WEIR_ASSIGN(auto config, make_client_config(options_.properties));
    WEIR_ASSIGN(auto claim, claim_prefix(context));
    return std::unique_ptr<Committer>(
        std::make_unique<KafkaCommitter>(options_, context, std::move(config), std::move(claim)));
  }

 private:
  Result<std::shared_ptr<PrefixClaim>> claim_prefix(const SinkContext& context) const {
    return PrefixClaim::take(prefix_of(options_, context),
                             context.pipeline_id + "/" + context.sink_uid);
  }

  const SinkOptions options_;
};

}  // namespace

std::shared_ptr<Sink> make_sink(SinkOptions options) {
  return std::make_shared<KafkaSinkCore>(std::move(options));
}

}  // namespace weir::kafka
