#include "connector_forms.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "file/line_reader.h"
#include "file/part_file.h"
#include "generator/split_state.h"
#include "weir/codec.h"
#if defined(WEIR_WITH_KAFKA)
#include "kafka/committable.h"
#include "kafka/partition_split.h"
#endif

namespace weir::cli {
namespace {

constexpr std::size_t kShownBytesMax = 64;

bool is_plain_text(std::string_view bytes) {
  return !bytes.empty() && bytes.size() <= kShownBytesMax &&
         std::all_of(bytes.begin(), bytes.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

Json bytes_of(std::string_view bytes) {
  std::string hex;
  for (const char c : bytes.substr(0, kShownBytesMax)) {
    hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
  }
  return {{"form", "bytes"},
          {"length", bytes.size()},
          {"hex", hex},
          {"is_cut", bytes.size() > kShownBytesMax}};
}

std::string bytes_text(const Json& bytes) {
  const auto length = bytes.at("length").get<std::uint64_t>();
  if (length == 0) {
    return "empty";
  }
  constexpr std::size_t digits_max = 32;
  const auto hex = bytes.at("hex").get<std::string>();
  return counted(length, "byte") + " " + hex.substr(0, digits_max) +
         (length * 2 > digits_max ? "..." : "");
}

}  // namespace

Json position_of(const SourceSplit& split) {
#if defined(WEIR_WITH_KAFKA)
  if (const auto partition = kafka::from_source_split(split); partition.ok()) {
    const kafka::PartitionSplit& at = partition.value();
    Json json{{"form", "kafka"},
              {"topic", at.topic},
              {"partition", at.partition},
              {"next_offset", at.position}};
    json["stop_offset"] = at.stop_offset == kafka::kNoStopOffset ? Json() : Json(at.stop_offset);
    return json;
  }
#endif
  // All forms are told apart by the split's id too: two numbers alone would fit many things.
  if (split.id.starts_with("block-")) {
    if (const auto state = generator::decode_split_state(split.state)) {
      return {{"form", "generator"},
              {"next_index", state->next},
              {"end_index", state->end},
              {"stride", state->stride}};
    }
  }
  if (split.id.find('/') != std::string::npos) {
    if (const auto position = decode_value<file::FilePosition>(split.state)) {
      return {{"form", "file"}, {"next_byte", position->offset}, {"lines_read", position->lines}};
    }
  }
  if (is_plain_text(split.state)) {
    return {{"form", "text"}, {"text", split.state}};
  }
  return bytes_of(split.state);
}

std::string position_text(const Json& position) {
  const auto form = position.at("form").get<std::string>();
  if (form == "kafka") {
    const Json& stop = position.at("stop_offset");
    return fmt::format("offset {}{}", position.at("next_offset").get<std::int64_t>(),
                       stop.is_null() ? "" : fmt::format(" of {}", stop.get<std::int64_t>()));
  }
  if (form == "generator") {
    const auto end = position.at("end_index").get<std::uint64_t>();
    const bool is_endless = end == std::numeric_limits<std::uint64_t>::max();
    return fmt::format("index {}{}", position.at("next_index").get<std::uint64_t>(),
                       is_endless ? "" : fmt::format(" of {}", end));
  }
  if (form == "file") {
    return fmt::format("byte {}, {} read", position.at("next_byte").get<std::uint64_t>(),
                       counted(position.at("lines_read").get<std::uint64_t>(), "line"));
  }
  return form == "text" ? position.at("text").get<std::string>() : bytes_text(position);
}

Json payload_of(const Committable& committable, const std::string& pipeline_id) {
  const std::string tag = file::sink_tag(pipeline_id, committable.id.sink_uid);
  if (const auto parts = file::decode_prepared(committable.payload, tag); parts.ok()) {
    Json list = Json::array();
    for (const file::PartFile& part : parts.value().files) {
      const std::string directory = file::directory_of(parts.value().base_path, part.bucket);
      list.push_back({{"hidden", directory + "/" + part.hidden_name},
                      {"final", directory + "/" + part.final_name},
                      {"length_bytes", part.length_bytes},
                      {"crc32c", part.crc32c}});
    }
    return {{"form", "file"}, {"parts", std::move(list)}};
  }
#if defined(WEIR_WITH_KAFKA)
  if (const auto prepared = kafka::decode_prepared(committable); prepared.ok()) {
    const kafka::PreparedTransaction& at = prepared.value();
    return {{"form", "kafka"},
            {"topic", at.topic},
            {"transactional_id", at.transactional_id},
            {"producer_id", at.producer_id},
            {"producer_epoch", at.producer_epoch},
            {"records", at.record_count},
            {"prepared_ms", at.prepared_at_ms},
            {"has_replay_log", at.has_replay_log}};
  }
#endif
  return bytes_of(committable.payload);
}

std::string payload_text(const Json& payload) {
  const auto form = payload.at("form").get<std::string>();
  if (form == "file") {
    std::uint64_t bytes = 0;
    for (const Json& part : payload.at("parts")) {
      bytes += part.at("length_bytes").get<std::uint64_t>();
    }
    const Json& parts = payload.at("parts");
    return parts.size() == 1
               ? parts.at(0).at("final").get<std::string>() + ", " + human_bytes(bytes)
               : counted(parts.size(), "part file") + ", " + human_bytes(bytes);
  }
  if (form == "kafka") {
    return fmt::format("topic {}, {}, transaction {}", payload.at("topic").get<std::string>(),
                       counted(payload.at("records").get<std::uint64_t>(), "record"),
                       payload.at("transactional_id").get<std::string>());
  }
  return bytes_text(payload);
}

}  // namespace weir::cli
