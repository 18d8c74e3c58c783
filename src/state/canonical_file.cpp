#include "state/canonical_file.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "state/direct_sink.h"
#include "state/key_group_index.h"
#include "state/snapshot_writer.h"
#include "state/state_file_reader.h"

namespace weir::state {
namespace {

/// Entries of one state in some key groups, to be sorted.
class Entries {
 public:
  void add(std::uint32_t key_group, StateNamespace ns, const EncodedEntry& entry) {
    items_.push_back(
        {key_group, ns, entry.hash, bytes_.size(), entry.key.size(), entry.value.size()});
    bytes_.append(entry.key);
    bytes_.append(entry.value);
  }
  void write_sorted(std::uint32_t state, const StateSchema& schema, SnapshotWriter& writer) {
    std::sort(items_.begin(), items_.end(), [this](const Item& a, const Item& b) {
      return std::tuple(a.key_group, a.ns, key(a)) < std::tuple(b.key_group, b.ns, key(b));
    });
    for (const Item& item : items_) {
      writer.append_encoded({state, item.key_group, item.ns}, schema,
                            {item.hash, key(item), value(item)});
    }
  }

 private:
  struct Item {
    std::uint32_t key_group;
    StateNamespace ns;
    std::uint32_t hash;
    std::size_t at;
    std::size_t key_bytes;
    std::size_t value_bytes;
  };
  std::string_view key(const Item& item) const {
    return std::string_view(bytes_).substr(item.at, item.key_bytes);
  }
  std::string_view value(const Item& item) const {
    return std::string_view(bytes_).substr(item.at + item.key_bytes, item.value_bytes);
  }

  std::string bytes_;
  std::vector<Item> items_;
};

Status copy_key_groups(const StateFileReader& reader, std::uint32_t from, std::uint32_t to,
                       KeyGroupRange key_groups, SnapshotWriter& writer) {
  const StateSchema& schema = reader.index().states[from].schema;
  const KeyGroupIndex wanted(reader.index().max_parallelism, key_groups);
  Entries entries;
  WEIR_TRY(reader.read_state(from, key_groups, [&](const EncodedRun& run) {
    return for_each_entry(schema, run, wanted, [&](const EncodedEntry& entry) -> Status {
      entries.add(wanted.first() + wanted.of(entry.hash), run.header.ns, entry);
      return {};
    });
  }));
  entries.write_sorted(to, schema, writer);
  return {};
}

Status copy_sorted(const StateFileReader& reader, std::uint64_t file_bytes, SnapshotWriter& writer,
                   const CanonicalOptions& options) {
  const StateFileIndex& index = reader.index();
  if (index.since != 0) {
    return reader.damaged("is a delta, which has no canonical form of its own");
  }
  std::vector<std::uint32_t> order(index.states.size());
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return std::tie(index.states[a].schema.kind, index.states[a].schema.name) <
           std::tie(index.states[b].schema.kind, index.states[b].schema.name);
  });
  // Keys spread evenly over key groups, so a share of the key groups is that share of the bytes.
  const std::uint64_t passes = file_bytes / std::max<std::size_t>(options.memory_bytes_max, 1) + 1;
  const int step =
      std::max(1, static_cast<int>(static_cast<std::uint64_t>(index.key_groups.size()) / passes));
  for (const std::uint32_t from : order) {
    const std::uint32_t to = writer.add_state(index.states[from].schema, index.states[from].live);
    for (int first = index.key_groups.first; first <= index.key_groups.last; first += step) {
      if (options.is_cancelled != nullptr && options.is_cancelled()) {
        return Error{ErrorCode::kCancelled, "the savepoint is not wanted any more"};
      }
      const KeyGroupRange range{first, std::min(first + step - 1, index.key_groups.last)};
      WEIR_TRY(copy_key_groups(reader, from, to, range, writer));
      if (writer.sink().has_failed()) {
        return {};  // complete() says why
      }
    }
  }
  return {};
}

}  // namespace

Result<SnapshotFileInfo> write_canonical_file(FileSystem& files, const RestoreFile& from,
                                              const std::string& to,
                                              const CanonicalOptions& options) {
  WEIR_ASSIGN(const StateFileReader reader, StateFileReader::open(files, from));
  WEIR_ASSIGN(BlockFileWriter file,
              BlockFileWriter::create(files, to, kStateFileMagic, kStateFileVersion));
  const auto sink = std::make_shared<DirectSink>(std::move(file));
  StateFileIndex index;
  index.owner = reader.index().owner;
  index.max_parallelism = reader.index().max_parallelism;
  index.key_groups = reader.index().key_groups;
  index.whole = index.key_groups;
  SnapshotWriter writer(sink, std::move(index));
  Status copied = copy_sorted(reader, from.expected.length_bytes, writer, options);
  Result<SnapshotFileInfo> info = Error{ErrorCode::kInternal, "not written"};
  if (copied.ok()) {
    writer.finish();
    info = sink->complete();
    copied = info.status();
  }
  if (!copied.ok()) {
    static_cast<void>(files.remove(to).ok());
    return copied.error().with_context("writing state file " + to);
  }
  return info;
}

}  // namespace weir::state
