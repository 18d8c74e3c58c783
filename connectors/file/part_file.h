#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weir/result.h"
#include "weir/sink.h"

namespace weir::file {

/// The names of a file sink's files and the form of its committables. The formats are described in
/// docs/formats/file-sink.md.

/// 12 hex digits that tell one sink of one pipeline from all others in the same directory.
std::string sink_tag(std::string_view pipeline_id, std::string_view sink_uid);

/// What the name of a file that is not finished says.
struct HiddenName {
  std::string prefix;
  std::string tag;
  int subtask = 0;
  AttemptId attempt = 0;
  std::string unique;  ///< 32 hex digits
};
/// ".<prefix>-<tag>-<subtask>-<attempt>-<unique>.inprogress"
std::string format_hidden_name(const HiddenName& name);
/// Nothing when `name` is no such name.
std::optional<HiddenName> parse_hidden_name(std::string_view name);
/// 32 random hex digits.
std::string make_unique_part();

/// What the name of a finished exactly-once file says.
struct FinalName {
  CheckpointId checkpoint = 0;
  std::int64_t incarnation = 0;  ///< 0 = of a job that never branched
};
/// "<prefix>-<tag>-<subtask>-<checkpoint>" and, for a job that branched, "-i<incarnation>": a final
/// name without counter and suffix.
std::string format_final_stem(const std::string& prefix, const std::string& tag, int subtask,
                              const FinalName& name);
/// Nothing when `name` is no file of sink `tag`.
std::optional<FinalName> parse_final_name(std::string_view name, std::string_view tag);

/// One file of an epoch: complete and durable under its hidden name, to be renamed.
struct PartFile {
  std::string bucket;       ///< directory relative to the base directory; "" = the base itself
  std::string hidden_name;  ///< without directory
  std::string final_name;   ///< without directory
  std::uint64_t length_bytes = 0;
  std::uint32_t crc32c = 0;
};

/// The payload of a committable.
struct PreparedParts {
  std::string base_path;  ///< where it was prepared, for messages only
  std::vector<PartFile> files;
};
std::string encode_prepared(const PreparedParts& prepared);
/// Refuses what this sink cannot have written: other versions, other tags, names that would lead
/// out of the base directory.
Result<PreparedParts> decode_prepared(std::string_view payload, std::string_view tag);

/// A relative directory without empty, hidden or ".." parts; or "".
Status check_bucket(std::string_view bucket);
/// "<base>/<bucket>", or the base itself.
std::string directory_of(const std::string& base_path, const std::string& bucket);

}  // namespace weir::file
