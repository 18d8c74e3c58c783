#include "checkpoint/manifest_json.h"

#include <cstdint>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "checkpoint/base64.h"
#include "checkpoint/utf8.h"

namespace weir::checkpoint {
namespace {

using Json = nlohmann::json;
using Redistribution = OperatorStateBackend::Redistribution;

constexpr std::string_view kRedistributionNames[] = {"split", "union", "broadcast"};

// ---- writing

/// A JSON string, or {"b64": ...} for a text that is not UTF-8 (a split named after a file).
Json put_text(const std::string& text) {
  if (is_utf8(text)) {
    return text;
  }
  return Json::object({{"b64", base64_encode(text)}});
}

template <class T, class F>
Json put_list(const std::vector<T>& items, const F& put) {
  Json list = Json::array();
  for (const T& item : items) {
    list.push_back(put(item));
  }
  return list;
}

Json put_byte_strings(const std::vector<std::string>& items) {
  return put_list(items, [](const std::string& item) { return Json(base64_encode(item)); });
}

Json put_hash(std::uint64_t hash) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text(16, '0');
  for (std::size_t i = 0; i < 16; ++i) {
    text[i] = digits[(hash >> (60 - 4 * i)) & 15U];
  }
  return text;
}

Json put_file(const FileReference& file) {
  return {{"path", put_text(file.path)}, {"length", file.length_bytes}, {"crc32c", file.crc32c}};
}

Json put_handle(const StateHandle& handle) {
  return {{"file", put_file(handle.file)},
          {"kind", put_text(handle.kind)},
          {"first_key_group", handle.key_groups.first},
          {"last_key_group", handle.key_groups.last},
          {"meta", base64_encode(handle.meta)}};
}

Json put_list_state(const ListState& list) {
  return {{"name", put_text(list.name)},
          {"redistribution", kRedistributionNames[static_cast<std::size_t>(list.redistribution)]},
          {"items", put_byte_strings(list.items)}};
}

Json put_watermark(const KeyGroupWatermark& entry) {
  return {{"first_key_group", entry.key_groups.first},
          {"last_key_group", entry.key_groups.last},
          {"watermark", entry.watermark}};
}

Json put_subtask(const SubtaskSnapshot& subtask) {
  return {{"subtask", subtask.subtask},
          {"is_finished", subtask.is_finished},
          {"watermark_min", subtask.watermark_min},
          {"watermark_max", subtask.watermark_max},
          {"key_group_watermarks", put_list(subtask.key_group_watermarks, put_watermark)},
          {"files", put_list(subtask.files, put_handle)},
          {"lists", put_list(subtask.lists, put_list_state)}};
}

Json put_schema(const StateSchema& schema) {
  return {{"name", put_text(schema.name)},
          {"kind", put_text(schema.kind)},
          {"key_schema", put_text(schema.key_schema)},
          {"value_schema", put_text(schema.value_schema)}};
}

Json put_operator(const OperatorSnapshot& item) {
  return {{"uid", put_text(item.uid)},
          {"name", put_text(item.name)},
          {"parallelism", item.parallelism},
          {"max_parallelism", item.max_parallelism},
          {"schemas", put_list(item.schemas, put_schema)},
          {"subtasks", put_list(item.subtasks, put_subtask)}};
}

Json put_split(const SourceSplit& split) {
  return {{"id", put_text(split.id)}, {"state", base64_encode(split.state)}};
}

Json put_reader(const ReaderSnapshot& reader) {
  return {{"subtask", reader.subtask},
          {"is_finished", reader.is_finished},
          {"splits", put_list(reader.splits, put_split)}};
}

Json put_source(const SourceSnapshot& source) {
  return {{"uid", put_text(source.uid)},
          {"name", put_text(source.name)},
          {"parallelism", source.parallelism},
          {"enumerator_state", base64_encode(source.enumerator_state)},
          {"readers", put_list(source.readers, put_reader)}};
}

Json put_writer(const WriterSnapshot& writer) {
  return {{"subtask", writer.subtask}, {"states", put_byte_strings(writer.states)}};
}

Json put_committable(const Committable& committable) {
  return {{"sink_uid", put_text(committable.id.sink_uid)},
          {"subtask", committable.id.subtask},
          {"checkpoint", committable.id.checkpoint},
          {"attempt", committable.id.attempt},
          {"incarnation", committable.id.incarnation},
          {"payload", base64_encode(committable.payload)},
          {"files", put_list(committable.files, put_text)}};
}

Json put_lineage_entry(const LineageEntry& entry) {
  return {{"incarnation", entry.incarnation}, {"checkpoint", entry.checkpoint}};
}

Json put_sink(const SinkSnapshot& sink) {
  return {{"uid", put_text(sink.uid)},
          {"name", put_text(sink.name)},
          {"parallelism", sink.parallelism},
          {"writers", put_list(sink.writers, put_writer)},
          {"committables", put_list(sink.committables, put_committable)},
          {"files", put_list(sink.files, put_file)}};
}

Json put_edge(const EdgeSnapshot& edge) {
  return {{"name", put_text(edge.name)},
          {"sender_count", edge.sender_count},
          {"sender_hash", put_hash(edge.sender_hash)},
          {"receiver_count", edge.receiver_count},
          {"receiver_hash", put_hash(edge.receiver_hash)}};
}

Json put_channel(const ChannelSnapshot& channel) {
  return {{"sender", channel.sender},          {"watermark", channel.watermark},
          {"is_idle", channel.is_idle},        {"offset", channel.offset},
          {"elements", channel.element_count}, {"records", channel.record_count}};
}

Json put_in_flight(const InFlightSnapshot& item) {
  return {{"edge", put_text(item.edge)},
          {"subtask", item.subtask},
          {"sender_parallelism", item.sender_parallelism},
          {"receiver_parallelism", item.receiver_parallelism},
          {"record_schema", put_text(item.record_schema)},
          {"file", item.file.path.empty() ? Json(nullptr) : put_file(item.file)},
          {"channels", put_list(item.channels, put_channel)}};
}

// ---- reading

/// The first failure of a whole read; later ones are ignored.
struct Failure {
  std::optional<std::string> message;

  void set(const std::string& what) {
    if (!message.has_value()) {
      message = what;
    }
  }
};

std::optional<std::string> text_of(const Json& value) {
  if (value.is_string()) {
    return value.get<std::string>();
  }
  if (value.is_object() && value.size() == 1 && value.contains("b64") && value["b64"].is_string()) {
    return base64_decode(value["b64"].get_ref<const std::string&>());
  }
  return std::nullopt;
}

/// Reads the members of one object; whatever is wrong ends up in the Failure, and reading goes on
/// with empty values.
class ObjectReader {
 public:
  ObjectReader(const Json& value, std::string where, Failure& failure)
      : value_(value), where_(std::move(where)), failure_(failure) {
    if (!value_.is_object()) {
      failure_.set(where_ + " is not an object");
    }
  }
  ObjectReader(const ObjectReader&) = delete;
  ObjectReader& operator=(const ObjectReader&) = delete;
  /// Every member was asked for, or it is not this format.
  ~ObjectReader() {
    if (value_.is_object() && value_.size() != asked_) {
      failure_.set(where_ + " has unknown members");
    }
  }

  std::string text(const char* key) {
    const Json* member = find(key);
    auto text = member == nullptr ? std::nullopt : text_of(*member);
    return text.has_value() ? *std::move(text) : wrong<std::string>(key, "a text");
  }

  std::string bytes(const char* key) {
    const Json* member = find(key);
    return member == nullptr ? std::string() : bytes_of(*member, key);
  }

  bool boolean(const char* key) {
    const Json* member = find(key);
    return member != nullptr && member->is_boolean() ? member->get<bool>()
                                                     : wrong<bool>(key, "a boolean");
  }

  template <class T>
  T integer(const char* key) {
    const Json* member = find(key);
    if (member != nullptr && member->is_number_unsigned()) {
      const auto number = member->get<std::uint64_t>();
      if (std::in_range<T>(number)) {
        return static_cast<T>(number);
      }
    } else if (member != nullptr && member->is_number_integer()) {
      const auto number = member->get<std::int64_t>();
      if (std::in_range<T>(number)) {
        return static_cast<T>(number);
      }
    }
    return wrong<T>(key, "an integer in range");
  }

  std::uint64_t hash(const char* key) {
    const std::string digits = text(key);
    std::uint64_t hash = 0;
    bool is_good = digits.size() == 16;
    for (const char digit : digits) {
      const bool is_decimal = digit >= '0' && digit <= '9';
      is_good = is_good && (is_decimal || (digit >= 'a' && digit <= 'f'));
      hash = (hash << 4) | static_cast<std::uint64_t>(is_decimal ? digit - '0' : digit - 'a' + 10);
    }
    return is_good ? hash : wrong<std::uint64_t>(key, "16 hexadecimal digits");
  }

  /// The position of a text in `names`.
  template <class T, std::size_t N>
  T one_of(const char* key, const std::string_view (&names)[N]) {
    const std::string name = text(key);
    for (std::size_t i = 0; i < N; ++i) {
      if (name == names[i]) {
        return static_cast<T>(i);
      }
    }
    return wrong<T>(key, "a known word");
  }

  /// `read(ObjectReader&)` makes one item.
  template <class F>
  auto list(const char* key, const F& read) {
    std::vector<decltype(read(*this))> items;
    each(key, [&](const Json& item, const std::string& where) {
      ObjectReader reader(item, where, failure_);
      items.push_back(read(reader));
    });
    return items;
  }

  std::vector<std::string> byte_strings(const char* key) {
    std::vector<std::string> items;
    each(key, [&](const Json& item, const std::string&) { items.push_back(bytes_of(item, key)); });
    return items;
  }

  std::vector<std::string> texts(const char* key) {
    std::vector<std::string> items;
    each(key, [&](const Json& item, const std::string&) {
      auto text = text_of(item);
      items.push_back(text.has_value() ? *std::move(text) : wrong<std::string>(key, "texts"));
    });
    return items;
  }

  /// Nothing for null.
  template <class F>
  auto nullable_object(const char* key, const F& read) -> std::optional<decltype(read(*this))> {
    const Json* member = find(key);
    if (member == nullptr || member->is_null()) {
      return std::nullopt;
    }
    ObjectReader reader(*member, where_ + "." + key, failure_);
    return read(reader);
  }

  template <class F>
  auto object(const char* key, const F& read) {
    static const Json nothing;
    const Json* member = find(key);
    ObjectReader reader(member == nullptr ? nothing : *member, where_ + "." + key, failure_);
    return read(reader);
  }

 private:
  const Json* find(const char* key) {
    if (value_.is_object()) {
      const auto found = value_.find(key);
      if (found != value_.end()) {
        ++asked_;
        return &*found;
      }
    }
    failure_.set(where_ + " has no member '" + key + "'");
    return nullptr;
  }

  template <class F>
  void each(const char* key, const F& visit) {
    const Json* member = find(key);
    if (member == nullptr || !member->is_array()) {
      failure_.set(where_ + "." + key + " is not a list");
      return;
    }
    for (std::size_t i = 0; i < member->size() && !failure_.message.has_value(); ++i) {
      visit((*member)[i], where_ + "." + key + "[" + std::to_string(i) + "]");
    }
  }

  std::string bytes_of(const Json& value, const char* key) {
    auto bytes =
        value.is_string() ? base64_decode(value.get_ref<const std::string&>()) : std::nullopt;
    return bytes.has_value() ? *std::move(bytes) : wrong<std::string>(key, "base64");
  }

  template <class T>
  T wrong(const char* key, std::string_view expected) {
    failure_.set(where_ + "." + key + " is not " + std::string(expected));
    return T{};
  }

  const Json& value_;
  const std::string where_;
  Failure& failure_;
  std::size_t asked_ = 0;
};

// Members are read in named statements or braced lists, whose order is fixed.

FileReference get_file(ObjectReader& in) {
  return {in.text("path"), in.integer<std::uint64_t>("length"),
          in.integer<std::uint32_t>("crc32c")};
}

KeyGroupRange get_range(ObjectReader& in) {
  return {in.integer<int>("first_key_group"), in.integer<int>("last_key_group")};
}

StateHandle get_handle(ObjectReader& in) {
  return {in.object("file", get_file), in.text("kind"), get_range(in), in.bytes("meta")};
}

ListState get_list_state(ObjectReader& in) {
  return {in.text("name"), in.one_of<Redistribution>("redistribution", kRedistributionNames),
          in.byte_strings("items")};
}

KeyGroupWatermark get_watermark(ObjectReader& in) {
  return {get_range(in), in.integer<TimestampMs>("watermark")};
}

SubtaskSnapshot get_subtask(ObjectReader& in) {
  return {in.integer<int>("subtask"),
          in.boolean("is_finished"),
          in.integer<TimestampMs>("watermark_min"),
          in.integer<TimestampMs>("watermark_max"),
          in.list("key_group_watermarks", get_watermark),
          in.list("files", get_handle),
          in.list("lists", get_list_state)};
}

StateSchema get_schema(ObjectReader& in) {
  return {in.text("name"), in.text("kind"), in.text("key_schema"), in.text("value_schema")};
}

OperatorSnapshot get_operator(ObjectReader& in) {
  return {in.text("uid"),
          in.text("name"),
          in.integer<int>("parallelism"),
          in.integer<int>("max_parallelism"),
          in.list("schemas", get_schema),
          in.list("subtasks", get_subtask)};
}

SourceSplit get_split(ObjectReader& in) { return {in.text("id"), in.bytes("state")}; }

ReaderSnapshot get_reader(ObjectReader& in) {
  return {in.integer<int>("subtask"), in.boolean("is_finished"), in.list("splits", get_split)};
}

SourceSnapshot get_source(ObjectReader& in) {
  return {in.text("uid"), in.text("name"), in.integer<int>("parallelism"),
          in.bytes("enumerator_state"), in.list("readers", get_reader)};
}

WriterSnapshot get_writer(ObjectReader& in) {
  return {in.integer<int>("subtask"), in.byte_strings("states")};
}

Committable get_committable(ObjectReader& in) {
  return {CommittableId{in.text("sink_uid"), in.integer<int>("subtask"),
                        in.integer<CheckpointId>("checkpoint"), in.integer<AttemptId>("attempt"),
                        in.integer<std::int64_t>("incarnation")},
          in.bytes("payload"), in.texts("files")};
}

LineageEntry get_lineage_entry(ObjectReader& in) {
  return {in.integer<std::int64_t>("incarnation"), in.integer<CheckpointId>("checkpoint")};
}

SinkSnapshot get_sink(ObjectReader& in) {
  return {in.text("uid"),
          in.text("name"),
          in.integer<int>("parallelism"),
          in.list("writers", get_writer),
          in.list("committables", get_committable),
          in.list("files", get_file)};
}

EdgeSnapshot get_edge(ObjectReader& in) {
  return {in.text("name"), in.integer<std::uint64_t>("sender_count"), in.hash("sender_hash"),
          in.integer<std::uint64_t>("receiver_count"), in.hash("receiver_hash")};
}

ChannelSnapshot get_channel(ObjectReader& in) {
  return {in.integer<int>("sender"),
          in.integer<TimestampMs>("watermark"),
          in.boolean("is_idle"),
          in.integer<std::uint64_t>("offset"),
          in.integer<std::uint64_t>("elements"),
          in.integer<std::uint64_t>("records")};
}

InFlightSnapshot get_in_flight(ObjectReader& in) {
  InFlightSnapshot out;
  out.edge = in.text("edge");
  out.subtask = in.integer<int>("subtask");
  out.sender_parallelism = in.integer<int>("sender_parallelism");
  out.receiver_parallelism = in.integer<int>("receiver_parallelism");
  out.record_schema = in.text("record_schema");
  out.file = in.nullable_object("file", get_file).value_or(FileReference{});
  out.channels = in.list("channels", get_channel);
  return out;
}

constexpr std::string_view kKindNames[] = {"checkpoint", "savepoint"};

Manifest get_manifest(ObjectReader& in) {
  Manifest out;
  out.job_id = in.text("job_id");
  out.job_name = in.text("job_name");
  out.pipeline_id = in.text("pipeline_id");
  out.checkpoint = in.integer<CheckpointId>("checkpoint");
  out.attempt = in.integer<AttemptId>("attempt");
  out.incarnation = in.integer<std::int64_t>("incarnation");
  out.lineage = in.list("lineage", get_lineage_entry);
  out.parent_checkpoint = in.integer<CheckpointId>("parent_checkpoint");
  out.kind = in.one_of<SnapshotKind>("kind", kKindNames);
  out.is_terminal = in.boolean("is_terminal");
  out.triggered_ms = in.integer<TimestampMs>("triggered_ms");
  out.completed_ms = in.integer<TimestampMs>("completed_ms");
  out.max_parallelism = in.integer<int>("max_parallelism");
  out.operators = in.list("operators", get_operator);
  out.sources = in.list("sources", get_source);
  out.sinks = in.list("sinks", get_sink);
  out.edges = in.list("edges", get_edge);
  out.in_flight = in.list("in_flight", get_in_flight);
  return out;
}

}  // namespace

std::string manifest_to_json(const Manifest& m) {
  const Json body = {{"job_id", put_text(m.job_id)},
                     {"job_name", put_text(m.job_name)},
                     {"pipeline_id", put_text(m.pipeline_id)},
                     {"checkpoint", m.checkpoint},
                     {"attempt", m.attempt},
                     {"incarnation", m.incarnation},
                     {"lineage", put_list(m.lineage, put_lineage_entry)},
                     {"parent_checkpoint", m.parent_checkpoint},
                     {"kind", snapshot_kind_name(m.kind)},
                     {"is_terminal", m.is_terminal},
                     {"triggered_ms", m.triggered_ms},
                     {"completed_ms", m.completed_ms},
                     {"max_parallelism", m.max_parallelism},
                     {"operators", put_list(m.operators, put_operator)},
                     {"sources", put_list(m.sources, put_source)},
                     {"sinks", put_list(m.sinks, put_sink)},
                     {"edges", put_list(m.edges, put_edge)},
                     {"in_flight", put_list(m.in_flight, put_in_flight)}};
  return body.dump();
}

Result<Manifest> manifest_from_json(std::string_view body) {
  const Json json = Json::parse(body, nullptr, false);
  if (json.is_discarded()) {
    return Error{ErrorCode::kCorruption, "the manifest's body is not JSON"};
  }
  Failure failure;
  Manifest manifest;
  {
    ObjectReader reader(json, "manifest", failure);
    manifest = get_manifest(reader);
  }
  if (failure.message.has_value()) {
    return Error{ErrorCode::kCorruption, *failure.message};
  }
  return manifest;
}

}  // namespace weir::checkpoint
