#include "file/file_sink.h"

#include <algorithm>
#include <utility>

#include "base/local_path.h"
#include "file/file_committer.h"
#include "file/file_sink_writer.h"
#include "file/part_file.h"
#include "io/local_file_system.h"

namespace weir::file {
namespace {

Error wrong(std::string message) {
  return Error{ErrorCode::kInvalidArgument, "file sink: " + std::move(message)};
}

/// Prefix and suffix become parts of file names.
Status check_affix(std::string_view what, const std::string& text) {
  constexpr std::size_t kBytesMax = 64;
  if (text.size() > kBytesMax || text.find('/') != std::string::npos ||
      text.find('\0') != std::string::npos) {
    return wrong("the " + std::string(what) + " '" + text +
                 "' must have at most 64 characters and no '/'");
  }
  return {};
}

class RowFileSink final : public Sink {
 public:
  RowFileSink(const TypeOps& type, detail::EncodeRows encode, detail::BucketOfRow bucket,
              FileSinkSettings settings)
      : type_(type),
        encode_(std::move(encode)),
        bucket_(std::move(bucket)),
        settings_(std::move(settings)) {
    if (settings_.files == nullptr) {
      settings_.files = &local_file_system();
    }
    if (Result<std::string> path = local_path(settings_.path); path.ok()) {
      settings_.path = std::move(path).value();
    }
    while (settings_.path.size() > 1 && settings_.path.back() == '/') {
      settings_.path.pop_back();
    }
  }

  DeliveryGuarantee guarantee() const override { return settings_.guarantee; }
  const TypeOps& record_type() const override { return type_; }

  Status preflight(const SinkContext& /*context*/) override {
    WEIR_TRY(check_settings());
    // An unwritable directory is found now and not at the first checkpoint.
    WEIR_TRY(settings_.files->create_directories(settings_.path));
    const std::string probe = join_path(settings_.path, ".weir-probe-" + make_unique_part());
    {
      WEIR_ASSIGN(const std::unique_ptr<WritableFile> file, settings_.files->create_writer(probe));
      WEIR_TRY(file->close());
    }
    return settings_.files->remove(probe);
  }

  Result<std::unique_ptr<SinkWriter>> create_writer(
      SinkWriterContext context, const std::vector<std::string>& /*restored*/) override {
    WEIR_TRY(check_settings());
    if (settings_.guarantee == DeliveryGuarantee::kAtLeastOnce) {
      // There is no committer that would do it.
      WEIR_TRY(remove_leftovers(context));
    }
    return std::unique_ptr<SinkWriter>(
        std::make_unique<FileSinkWriter>(std::move(context), encode_, bucket_, settings_));
  }

  Result<std::unique_ptr<Committer>> create_committer(const SinkContext& context) override {
    if (settings_.guarantee != DeliveryGuarantee::kExactlyOnce) {
      return std::unique_ptr<Committer>();
    }
    return std::unique_ptr<Committer>(
        std::make_unique<FileCommitter>(*settings_.files, settings_.path, context));
  }

 private:
  Status check_settings() const {
    if (settings_.path.empty()) {
      return wrong("the path is empty");
    }
    if (const Result<std::string> path = local_path(settings_.path); !path.ok()) {
      return path.error().with_context("file sink");
    }
    if (settings_.guarantee == DeliveryGuarantee::kNone) {
      return wrong("DeliveryGuarantee::kNone is not offered; use kAtLeastOnce or kExactlyOnce");
    }
    if (settings_.prefix.empty() || settings_.prefix.front() == '.' ||
        settings_.prefix.front() == '_') {
      return wrong("the prefix '" + settings_.prefix +
                   "' must not be empty or begin with '.' or '_', which would hide the results");
    }
    if (settings_.part_bytes_max == 0) {
      return wrong("the part size must be at least 1 byte");
    }
    WEIR_TRY(check_affix("prefix", settings_.prefix));
    return check_affix("suffix", settings_.suffix);
  }

  /// Each subtask removes a share of what earlier attempts, of any parallelism, left unfinished.
  Status remove_leftovers(const SinkWriterContext& context) const {
    const int parallelism = std::max(context.subtask.parallelism, 1);
    return remove_hidden_files(*settings_.files, settings_.path,
                               sink_tag(context.sink.pipeline_id, context.sink.sink_uid),
                               [&](const HiddenName& name, const std::string& /*file_name*/) {
                                 return name.attempt < context.sink.attempt &&
                                        name.subtask % parallelism == context.subtask.subtask;
                               });
  }

  const TypeOps& type_;
  detail::EncodeRows encode_;
  detail::BucketOfRow bucket_;
  FileSinkSettings settings_;
};

}  // namespace

std::shared_ptr<Sink> detail::make_file_sink(const TypeOps& type, EncodeRows encode,
                                             BucketOfRow bucket, FileSinkSettings settings) {
  return std::make_shared<RowFileSink>(type, std::move(encode), std::move(bucket),
                                       std::move(settings));
}

}  // namespace weir::file
