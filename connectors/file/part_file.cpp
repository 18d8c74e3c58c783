#include "file/part_file.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <random>

#include "io/file_system.h"
#include "weir/codec.h"

namespace weir::file {
namespace {

constexpr std::string_view kHiddenSuffix = ".inprogress";
constexpr std::size_t kTagDigits = 12;
constexpr std::size_t kUniqueDigits = 32;
constexpr std::size_t kIncarnationDigits = 16;
constexpr std::size_t kNameBytesMax = 255;
constexpr char kPayloadVersion = 1;

bool is_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::string to_hex(std::uint64_t value, std::size_t digits) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text(digits, '0');
  for (std::size_t i = digits; i > 0; --i, value >>= 4) {
    text[i - 1] = kDigits[value & 0xf];
  }
  return text;
}

template <class Number>
bool parse_number(std::string_view text, Number& out) {
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, out);
  return error == std::errc() && rest == end && out >= 0;
}

/// Cuts the part behind the last '-' off `text`; empty when there is none.
std::string_view take_last_field(std::string_view& text) {
  const std::size_t dash = text.rfind('-');
  if (dash == std::string_view::npos) {
    return {};
  }
  const std::string_view field = text.substr(dash + 1);
  text = text.substr(0, dash);
  return field;
}

bool is_plain_name(std::string_view name) {
  return !name.empty() && name.size() <= kNameBytesMax &&
         name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

Error damaged(const std::string& what) {
  return Error{ErrorCode::kCorruption, "committable of a file sink: " + what};
}

}  // namespace

std::string sink_tag(std::string_view pipeline_id, std::string_view sink_uid) {
  // FNV-1a over both names with their lengths, so that no two pairs read the same.
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  const auto mix = [&hash](std::string_view text) {
    for (const char c : text) {
      hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    }
  };
  mix(std::to_string(pipeline_id.size()) + ":");
  mix(pipeline_id);
  mix(sink_uid);
  return to_hex(hash ^ (hash >> 48), kTagDigits);
}

std::string format_hidden_name(const HiddenName& name) {
  return "." + name.prefix + "-" + name.tag + "-" + std::to_string(name.subtask) + "-" +
         std::to_string(name.attempt) + "-" + name.unique + std::string(kHiddenSuffix);
}

std::optional<HiddenName> parse_hidden_name(std::string_view name) {
  if (!name.starts_with('.') || !name.ends_with(kHiddenSuffix) ||
      name.size() < kHiddenSuffix.size() + 1) {
    return std::nullopt;
  }
  // From the right, because only the prefix may itself contain a dash.
  std::string_view rest = name.substr(1, name.size() - 1 - kHiddenSuffix.size());
  HiddenName result;
  result.unique = take_last_field(rest);
  const std::string_view attempt = take_last_field(rest);
  const std::string_view subtask = take_last_field(rest);
  result.tag = take_last_field(rest);
  result.prefix = rest;
  if (result.unique.size() != kUniqueDigits || !is_hex(result.unique) ||
      result.tag.size() != kTagDigits || !is_hex(result.tag) || result.prefix.empty() ||
      !parse_number(attempt, result.attempt) || !parse_number(subtask, result.subtask)) {
    return std::nullopt;
  }
  return result;
}

std::string make_unique_part() {
  std::random_device device;
  std::string text;
  while (text.size() < kUniqueDigits) {
    text += to_hex(device(), 8);
  }
  return text;
}

std::string format_final_stem(const std::string& prefix, const std::string& tag, int subtask,
                              const FinalName& name) {
  std::string stem =
      prefix + "-" + tag + "-" + std::to_string(subtask) + "-" + std::to_string(name.checkpoint);
  if (name.incarnation != 0) {
    stem += "-i" + to_hex(static_cast<std::uint64_t>(name.incarnation), kIncarnationDigits);
  }
  return stem;
}

std::optional<FinalName> parse_final_name(std::string_view name, std::string_view tag) {
  const std::string mark = "-" + std::string(tag) + "-";
  const std::size_t at = name.find(mark);
  if (at == std::string_view::npos || at == 0 || name.starts_with('.')) {
    return std::nullopt;
  }
  name.remove_prefix(at + mark.size());
  const std::size_t subtask_end = name.find('-');
  if (subtask_end == std::string_view::npos) {
    return std::nullopt;
  }
  int subtask = 0;
  if (!parse_number(name.substr(0, subtask_end), subtask)) {
    return std::nullopt;
  }
  name.remove_prefix(subtask_end + 1);
  const std::size_t checkpoint_end = name.find('-');
  FinalName result;
  if (checkpoint_end == std::string_view::npos ||
      !parse_number(name.substr(0, checkpoint_end), result.checkpoint)) {
    return std::nullopt;
  }
  name.remove_prefix(checkpoint_end + 1);
  if (name.starts_with('i') && name.size() > kIncarnationDigits + 1 &&
      name[kIncarnationDigits + 1] == '-') {
    const std::string_view digits = name.substr(1, kIncarnationDigits);
    const char* const end = digits.data() + digits.size();
    std::uint64_t value = 0;
    const auto [rest, error] = std::from_chars(digits.data(), end, value, 16);
    if (error != std::errc() || rest != end) {
      return std::nullopt;
    }
    result.incarnation = static_cast<std::int64_t>(value);
  }
  return result;
}

std::string encode_prepared(const PreparedParts& prepared) {
  return std::string(1, kPayloadVersion) + encode_value(prepared);
}

Result<PreparedParts> decode_prepared(std::string_view payload, std::string_view tag) {
  if (payload.empty() || payload.front() != kPayloadVersion) {
    return damaged("unknown version");
  }
  auto prepared = decode_value<PreparedParts>(payload.substr(1));
  if (!prepared.has_value()) {
    return damaged("its bytes are malformed");
  }
  const std::string mark = "-" + std::string(tag) + "-";
  for (const PartFile& file : prepared->files) {
    WEIR_TRY(check_bucket(file.bucket));
    const auto hidden = parse_hidden_name(file.hidden_name);
    if (!is_plain_name(file.hidden_name) || !hidden.has_value() || hidden->tag != tag) {
      return damaged("'" + file.hidden_name + "' is no file of this sink");
    }
    if (!is_plain_name(file.final_name) || file.final_name.front() == '.' ||
        file.final_name.find(mark) == std::string::npos) {
      return damaged("'" + file.final_name + "' is no file of this sink");
    }
  }
  return *std::move(prepared);
}

Status check_bucket(std::string_view bucket) {
  std::string_view rest = bucket;
  while (!rest.empty()) {
    const std::size_t slash = rest.find('/');
    const std::string_view part = rest.substr(0, slash);
    // Names that begin with '.' or '_' are hidden from readers, and so would be their files.
    if (!is_plain_name(part) || part.front() == '.' || part.front() == '_' ||
        slash + 1 == rest.size()) {
      return Error{ErrorCode::kUser,
                   "bucket '" + std::string(bucket) +
                       "' is not a relative directory of visible names (no leading or trailing "
                       "'/', no part that begins with '.' or '_')"};
    }
    rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
  }
  return {};
}

std::string directory_of(const std::string& base_path, const std::string& bucket) {
  return bucket.empty() ? base_path : join_path(base_path, bucket);
}

}  // namespace weir::file
