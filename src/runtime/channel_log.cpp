#include "runtime/channel_log.h"

#include "io/block_file.h"
#include "record/batch_codec.h"
#include "weir/key_group.h"

namespace weir::runtime {
namespace {

bool is_logged(Element::Kind kind) {
  return kind == Element::Kind::kBatch || kind == Element::Kind::kWatermark ||
         kind == Element::Kind::kIdle || kind == Element::Kind::kActive;
}

/// Leaves only the rows that `keep(row)` is true for.
template <class F>
void keep_rows(BatchPtr& batch, F&& keep) {
  const TypeOps& type = batch->type();
  BatchPtr kept = Batch::make(type, batch->size());
  for (std::size_t row = 0; row < batch->size(); ++row) {
    if (!keep(row)) {
      type.destroy(batch->record_at(row));
      continue;
    }
    kept->append_moved(*batch, row);
  }
  batch->set_size(0);  // its records were moved or destroyed
  kept->set_keyed(batch->is_keyed());
  batch = std::move(kept);
}

}  // namespace

std::size_t ChannelLog::open_channel(int edge, int sender, TimestampMs watermark, bool is_idle) {
  LoggedChannel channel;
  channel.stored.edge = edge;
  channel.stored.snapshot.sender = sender;
  channel.stored.snapshot.watermark = watermark;
  channel.stored.snapshot.is_idle = is_idle;
  channels_.push_back(std::move(channel));
  return channels_.size() - 1;
}

void ChannelLog::add(std::size_t channel, const Element& element) {
  if (!is_logged(element.kind)) {
    return;
  }
  if (element.kind == Element::Kind::kBatch) {
    add(channel, *element.batch);
    return;
  }
  LoggedChannel& to = channels_[channel];
  const std::size_t before = to.bytes.size();
  Encoder out(to.bytes);
  out.raw(static_cast<std::uint8_t>(element.kind));
  if (element.kind == Element::Kind::kWatermark) {
    out.raw(element.watermark);
  }
  ++to.stored.snapshot.element_count;
  count(to.bytes.size() - before);
}

void ChannelLog::add(std::size_t channel, const Batch& batch) {
  LoggedChannel& to = channels_[channel];
  const std::size_t before = to.bytes.size();
  Encoder out(to.bytes);
  out.raw(static_cast<std::uint8_t>(Element::Kind::kBatch));
  encode_batch(batch, out);
  ++to.stored.snapshot.element_count;
  to.stored.snapshot.record_count += batch.size();
  count(to.bytes.size() - before);
}

void ChannelLog::count(std::size_t bytes) {
  size_bytes_ += bytes;
  memory_.grow(static_cast<std::int64_t>(bytes));
}

Result<ChannelLog::Stored> ChannelLog::store(FileSystem& files, const std::string& path) const {
  Stored stored;
  for (const LoggedChannel& channel : channels_) {
    stored.channels.push_back(channel.stored);
    if (channel.bytes.size() > kBlockSizeBytesMax) {
      return Error{ErrorCode::kNoSpace, path + ": more than 1 GiB is under way in one channel"};
    }
  }
  if (size_bytes_ == 0) {
    return stored;
  }
  WEIR_ASSIGN(BlockFileWriter file,
              BlockFileWriter::create(files, path, checkpoint::kChannelLogMagic,
                                      checkpoint::kChannelLogVersion));
  for (std::size_t i = 0; i < channels_.size(); ++i) {
    if (!channels_[i].bytes.empty()) {
      WEIR_ASSIGN(stored.channels[i].snapshot.offset, file.append(channels_[i].bytes));
    }
  }
  WEIR_ASSIGN(const FileSummary summary, file.finish());
  stored.file.length_bytes = summary.length_bytes;
  stored.file.crc32c = summary.crc32c;
  return stored;
}

Result<std::deque<Element>> read_channel_log(FileSystem& files, const std::string& path,
                                             const checkpoint::ChannelSnapshot& channel,
                                             const TypeOps& record) {
  std::deque<Element> elements;
  if (channel.element_count == 0) {
    return elements;
  }
  WEIR_ASSIGN(const BlockFileReader file,
              BlockFileReader::open(files, path, checkpoint::kChannelLogMagic,
                                    checkpoint::kChannelLogVersion));
  WEIR_ASSIGN(const std::string bytes, file.read_at(channel.offset));
  Decoder in(bytes);
  std::uint64_t records = 0;
  while (in.ok() && in.remaining() > 0) {
    const auto kind = static_cast<Element::Kind>(in.raw<std::uint8_t>());
    if (kind == Element::Kind::kBatch) {
      BatchPtr batch = decode_batch(in, record);
      if (batch != nullptr) {
        records += batch->size();
        elements.push_back(Element::of(std::move(batch)));
      }
    } else if (kind == Element::Kind::kWatermark) {
      elements.push_back(Element::of_watermark(in.raw<TimestampMs>()));
    } else if (is_logged(kind)) {
      elements.push_back(Element::of(kind));
    } else {
      in.fail();
    }
  }
  if (!in.ok() || elements.size() != channel.element_count || records != channel.record_count) {
    return Error{ErrorCode::kCorruption, path + ": the records under way from subtask " +
                                             std::to_string(channel.sender) + " at byte " +
                                             std::to_string(channel.offset) + " cannot be decoded"};
  }
  return elements;
}

void keep_key_groups(std::deque<Element>& elements, KeyGroupRange key_groups, int max_parallelism) {
  for (Element& element : elements) {
    if (element.kind != Element::Kind::kBatch) {
      continue;
    }
    WEIR_CHECK(element.batch->is_keyed());
    const Batch& batch = *element.batch;
    keep_rows(element.batch, [&](std::size_t row) {
      return key_groups.contains(key_group_of(batch.key_hashes()[row], max_parallelism));
    });
  }
  std::erase_if(elements, [](const Element& element) {
    return element.kind == Element::Kind::kBatch && element.batch->empty();
  });
}

}  // namespace weir::runtime
