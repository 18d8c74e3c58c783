#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "weir/batch.h"
#include "weir/sink.h"

namespace weir {
class FileSystem;
}

namespace weir::file {

/// The settings of a file sink, without its record type.
struct FileSinkSettings {
  std::string path;             ///< base directory; created if absent
  std::string prefix = "part";  ///< of finished files: what readers glob
  std::string suffix;           ///< of finished files, such as ".csv"
  std::uint64_t part_bytes_max = 128ULL * 1024 * 1024;
  DeliveryGuarantee guarantee = DeliveryGuarantee::kExactlyOnce;
  FileSystem* files = nullptr;  ///< null: the machine's own; tests bring others
};

namespace detail {

/// Appends rows [begin, end) of a batch to `out`, each ending in one '\n'.
using EncodeRows =
    std::function<void(const Batch& batch, std::size_t begin, std::size_t end, std::string& out)>;
/// The bucket of a row: a relative directory. Null: one bucket, the base directory itself.
using BucketOfRow = std::function<std::string(const Batch& batch, std::size_t row)>;

std::shared_ptr<Sink> make_file_sink(const TypeOps& type, EncodeRows encode, BucketOfRow bucket,
                                     FileSinkSettings settings);

}  // namespace detail

/// Writes records as lines of text files, exactly once, with Flink's FileSink vocabulary:
///
///   FileSink<Order>::for_row_format("/data/out", [](const Order& o, std::string& out) {...})
///       .with_prefix_suffix("part", ".csv").build();
///
/// Rolls on every checkpoint, and in mid-epoch at the size limit. A finished file is called
/// `<prefix>-<sink tag>-<subtask>-<checkpoint>-<counter><suffix>`; it appears by a rename when its
/// checkpoint is complete and never changes. Until then it is hidden (its name begins with a dot),
/// so readers that glob `<prefix>-*` see committed records only. See docs/formats/file-sink.md.
///
/// With kAtLeastOnce files appear already when the barrier passes: a restart repeats records.
template <class T>
class FileSink {
 public:
  class Builder {
   public:
    Builder(std::string path, detail::EncodeRows encode) : encode_(std::move(encode)) {
      settings_.path = std::move(path);
    }
    /// Sub directory of a record, `std::string(const T&)`, such as "2026-08-01" or "de/orders".
    template <class Bucket>
    Builder& with_bucket(Bucket bucket) {
      static_assert(std::is_invocable_r_v<std::string, const Bucket&, const T&>,
                    "weir: with_bucket() needs a const-callable std::string(const T& record)");
      bucket_ = [bucket = std::move(bucket)](const Batch& batch, std::size_t row) -> std::string {
        return bucket(batch.records<T>()[row]);
      };
      return *this;
    }
    Builder& with_prefix_suffix(std::string prefix, std::string suffix) {
      settings_.prefix = std::move(prefix);
      settings_.suffix = std::move(suffix);
      return *this;
    }
    /// A part that has reached this size is closed and a new one begun. Checked once per batch.
    Builder& with_max_part_size(std::uint64_t bytes) {
      settings_.part_bytes_max = bytes;
      return *this;
    }
    /// kExactlyOnce (default) or kAtLeastOnce.
    Builder& with_delivery_guarantee(DeliveryGuarantee guarantee) {
      settings_.guarantee = guarantee;
      return *this;
    }
    /// For tests. `files` outlives the sink.
    Builder& with_file_system(FileSystem& files) {
      settings_.files = &files;
      return *this;
    }
    std::shared_ptr<Sink> build() const {
      return detail::make_file_sink(type_ops<T>(), encode_, bucket_, settings_);
    }

   private:
    detail::EncodeRows encode_;
    detail::BucketOfRow bucket_;
    FileSinkSettings settings_;
  };

  /// `encode` appends the text of one row; the line end is added unless it appended one itself.
  template <class Encode>
  static Builder for_row_format(std::string path, Encode encode) {
    static_assert(std::is_invocable_v<const Encode&, const T&, std::string&>,
                  "weir: for_row_format() needs a const-callable "
                  "void(const T& record, std::string& out) that appends one line");
    return Builder(std::move(path),
                   [encode = std::move(encode)](const Batch& batch, std::size_t begin,
                                                std::size_t end, std::string& out) {
                     const auto records = batch.records<T>();
                     for (std::size_t i = begin; i < end; ++i) {
                       const std::size_t before = out.size();
                       encode(records[i], out);
                       if (out.size() == before || out.back() != '\n') {
                         out.push_back('\n');
                       }
                     }
                   });
  }
  /// Strings as they are.
  static Builder for_row_format(std::string path)
    requires std::is_convertible_v<const T&, std::string_view>
  {
    return for_row_format(std::move(path), [](const T& record, std::string& out) {
      out.append(std::string_view(record));
    });
  }
};

}  // namespace weir::file
