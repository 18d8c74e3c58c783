#include "file/file_source.h"

#include <algorithm>
#include <deque>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include <glob.h>

#include "base/local_path.h"
#include "file/line_reader.h"
#include "io/local_file_system.h"
#include "weir/codec.h"

namespace weir::file {
namespace {

namespace fs = std::filesystem;

Error cannot_list(const std::string& path, const std::error_code& error) {
  return Error{ErrorCode::kIo, "file source: cannot list " + path + ": " + error.message()};
}

bool is_hidden(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.starts_with('.') || name.starts_with('_');
}

/// The visible regular files below a directory, or the file itself.
Status add_files(const std::string& path, std::vector<std::string>& out) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    out.push_back(path);
    return {};
  }
  fs::recursive_directory_iterator at(path, error);
  for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    if (is_hidden(at->path())) {
      at.disable_recursion_pending();
    } else if (at->is_regular_file(error)) {
      out.push_back(at->path().string());
    }
  }
  return error ? Status(cannot_list(path, error)) : Status();
}

Result<std::vector<std::string>> expand_pattern(const std::string& pattern) {
  glob_t matches{};
  const int code = ::glob(pattern.c_str(), GLOB_ERR, nullptr, &matches);
  std::vector<std::string> paths;
  for (std::size_t i = 0; code == 0 && i < matches.gl_pathc; ++i) {
    paths.emplace_back(matches.gl_pathv[i]);
  }
  ::globfree(&matches);
  if (code == GLOB_NOMATCH) {
    return Error{ErrorCode::kNotFound, "file source: nothing matches " + pattern};
  }
  if (code != 0) {
    return Error{ErrorCode::kIo, "file source: cannot read the directories of " + pattern};
  }
  return paths;
}

/// All input files in a fixed order.
Result<std::vector<std::string>> find_files(const std::string& path) {
  std::vector<std::string> files;
  std::error_code error;
  if (fs::exists(path, error)) {
    WEIR_TRY(add_files(path, files));
  } else if (path.find_first_of("*?[") == std::string::npos) {
    return Error{ErrorCode::kNotFound, "file source: " + path + " does not exist"};
  } else {
    WEIR_ASSIGN(const std::vector<std::string> matches, expand_pattern(path));
    for (const std::string& match : matches) {
      WEIR_TRY(add_files(match, files));
    }
  }
  std::sort(files.begin(), files.end());
  files.erase(std::unique(files.begin(), files.end()), files.end());
  for (const std::string& file : files) {
    for (const std::string_view suffix : {".gz", ".zst", ".bz2", ".xz", ".lz4", ".zip"}) {
      if (file.ends_with(suffix)) {
        return Error{ErrorCode::kInvalidArgument,
                     "file source: " + file + " is compressed, which is not supported"};
      }
    }
  }
  return files;
}

/// Deals one file at a time to the reader that asks.
class FileEnumerator final : public SplitEnumerator {
 public:
  /// First start: the files are listed in start().
  explicit FileEnumerator(std::string path) : path_(std::move(path)) {}
  explicit FileEnumerator(std::vector<std::string> unassigned)
      : is_restored_(true), unassigned_(unassigned.begin(), unassigned.end()) {}

  Status start(EnumeratorContext& context,
               const std::vector<SourceSplit>& /*reader_splits*/) override {
    context_ = &context;
    if (!is_restored_) {
      WEIR_ASSIGN(const std::vector<std::string> files, find_files(path_));
      unassigned_.assign(files.begin(), files.end());
    }
    show_unassigned();
    return {};
  }

  Status handle_split_request(int subtask) override {
    if (unassigned_.empty()) {
      context_->signal_no_more_splits(subtask);
      return {};
    }
    context_->assign(subtask, {{unassigned_.front(), encode_value(FilePosition{})}});
    unassigned_.pop_front();
    show_unassigned();
    return {};
  }

  Result<std::string> snapshot(CheckpointId /*checkpoint*/) override {
    return encode_value(std::vector<std::string>(unassigned_.begin(), unassigned_.end()));
  }

 private:
  void show_unassigned() {
    context_->metrics()
        .gauge("unassignedSplits")
        .set(static_cast<std::int64_t>(unassigned_.size()));
  }

  std::string path_;
  bool is_restored_ = false;
  std::deque<std::string> unassigned_;
  EnumeratorContext* context_ = nullptr;
};

class FileReader final : public SourceReader {
 public:
  FileReader(const TypeOps& type, detail::DecodeLines decode, FileSourceSettings settings,
             SourceReaderContext context)
      : type_(type),
        decode_(std::move(decode)),
        settings_(std::move(settings)),
        context_(std::move(context)) {}

  Status add_splits(std::vector<SourceSplit> splits) override {
    for (SourceSplit& split : splits) {
      if (!decode_value<FilePosition>(split.state).has_value()) {
        return Error{ErrorCode::kCorruption, "file source: malformed position in " + split.id};
      }
      waiting_.push_back(std::move(split));
    }
    has_requested_ = false;
    return {};
  }
  void no_more_splits() override { has_all_splits_ = true; }

  Result<PollResult> poll(SourceOutput& output) override {
    constexpr int kBatchesPerPoll = 4;
    for (int i = 0; i < kBatchesPerPoll; ++i) {
      if (current_ == nullptr && waiting_.empty()) {
        return without_split();
      }
      if (current_ == nullptr) {
        WEIR_ASSIGN(current_, open_next());
      }
      WEIR_TRY(emit_batch(output));
    }
    return PollResult::kMore;
  }

  std::vector<SourceSplit> snapshot(CheckpointId /*checkpoint*/) override {
    std::vector<SourceSplit> splits;
    if (current_ != nullptr) {
      splits.push_back({current_->path(), encode_value(current_->position())});
    }
    splits.insert(splits.end(), waiting_.begin(), waiting_.end());
    return splits;
  }

  void close() override { current_.reset(); }

 private:
  PollResult without_split() {
    if (has_all_splits_) {
      return PollResult::kFinished;
    }
    if (!has_requested_) {
      has_requested_ = true;
      context_.request_split();
    }
    return PollResult::kIdle;
  }

  Result<std::unique_ptr<LineReader>> open_next() {
    const SourceSplit split = std::move(waiting_.front());
    waiting_.pop_front();
    return LineReader::open(local_file_system(), split.id,
                            decode_value<FilePosition>(split.state).value(),
                            settings_.line_bytes_max);
  }

  /// Emits one batch, full but for the end of the file.
  Status emit_batch(SourceOutput& output) {
    BatchPtr batch = Batch::make(type_, Batch::default_capacity(type_));
    bool is_at_end = false;
    while (!batch->full()) {
      WEIR_ASSIGN(const std::string_view text, current_->peek());
      if (text.empty()) {
        is_at_end = true;
        break;
      }
      detail::LineCursor lines(text);
      const Status decoded = decode_(lines, *batch);
      if (!decoded.ok()) {
        WEIR_TRY(on_bad_record(decoded.error().with_context(current_->place_of_last_line(lines))));
      }
      current_->consume(lines);
    }
    if (!batch->empty()) {
      output.emit(current_->path(), std::move(batch));
    }
    if (is_at_end) {
      output.split_finished(current_->path());
      current_.reset();
    }
    return {};
  }

  Status on_bad_record(Error error) {
    if (context_.metrics != nullptr) {
      context_.metrics->counter("numRecordsInErrors").add();
    }
    return settings_.bad_records == BadRecords::kSkip ? Status() : Status(std::move(error));
  }

  const TypeOps& type_;
  detail::DecodeLines decode_;
  FileSourceSettings settings_;
  SourceReaderContext context_;
  std::deque<SourceSplit> waiting_;
  std::unique_ptr<LineReader> current_;
  bool has_all_splits_ = false;
  bool has_requested_ = false;
};

class LineSource final : public Source {
 public:
  LineSource(const TypeOps& type, detail::DecodeLines decode, FileSourceSettings settings)
      : type_(type), decode_(std::move(decode)), settings_(std::move(settings)) {
    if (Result<std::string> path = local_path(settings_.path); path.ok()) {
      settings_.path = std::move(path).value();
    }
  }

  Boundedness boundedness() const override { return Boundedness::kBounded; }
  const TypeOps& record_type() const override { return type_; }

  Status preflight(const SourceContext& context) override {
    if (const Result<std::string> path = local_path(settings_.path); !path.ok()) {
      return path.error().with_context("file source");
    }
    // A restored job knows its files; those it has read may be gone.
    return context.is_restored ? Status() : find_files(settings_.path).status();
  }
  Result<std::unique_ptr<SplitEnumerator>> create_enumerator(
      const SourceContext& /*context*/) override {
    return std::unique_ptr<SplitEnumerator>(std::make_unique<FileEnumerator>(settings_.path));
  }
  Result<std::unique_ptr<SplitEnumerator>> restore_enumerator(const SourceContext& context,
                                                              const std::string& state) override {
    auto unassigned = decode_value<std::vector<std::string>>(state);
    if (!unassigned.has_value()) {
      return Error{ErrorCode::kCorruption,
                   "file source " + context.source_uid + ": malformed enumerator state"};
    }
    return std::unique_ptr<SplitEnumerator>(
        std::make_unique<FileEnumerator>(*std::move(unassigned)));
  }
  Result<std::unique_ptr<SourceReader>> create_reader(SourceReaderContext context) override {
    return std::unique_ptr<SourceReader>(
        std::make_unique<FileReader>(type_, decode_, settings_, std::move(context)));
  }

 private:
  const TypeOps& type_;
  detail::DecodeLines decode_;
  FileSourceSettings settings_;
};

}  // namespace

std::shared_ptr<Source> detail::make_file_source(const TypeOps& type, DecodeLines decode,
                                                 FileSourceSettings settings) {
  return std::make_shared<LineSource>(type, std::move(decode), std::move(settings));
}

}  // namespace weir::file
