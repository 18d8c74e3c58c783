// The manifest codec with a memory. Decoding is a pure function of the bytes and took half of the
// time of a schedule: manifests are read again at each collection and each restart. What was just
// encoded is remembered, except every eighth one, which is really decoded; bytes that were not seen
// before (damaged ones, say) always are.
#include <string>
#include <string_view>
#include <unordered_map>

#define decode_manifest decode_manifest_without_memory
#define encode_manifest encode_manifest_without_memory
// The real code, under other names.
#include "checkpoint/manifest_codec.cpp"
#undef decode_manifest
#undef encode_manifest

namespace weir::checkpoint {

Result<std::string> encode_manifest(const Manifest& manifest);
Result<Manifest> decode_manifest(std::string_view bytes);

namespace {

using Memory = std::unordered_map<std::string, Manifest>;

Memory& memory() {
  thread_local Memory seen;
  constexpr std::size_t kEntriesMax = 32;
  if (seen.size() >= kEntriesMax) {
    seen.clear();
  }
  return seen;
}

}  // namespace

Result<std::string> encode_manifest(const Manifest& manifest) {
  Result<std::string> bytes = encode_manifest_without_memory(manifest);
  if (bytes.ok() && bytes.value().size() % 8 != 0) {
    memory().emplace(bytes.value(), manifest);
  }
  return bytes;
}

Result<Manifest> decode_manifest(std::string_view bytes) {
  std::string key(bytes);
  if (const auto found = memory().find(key); found != memory().end()) {
    return found->second;
  }
  Result<Manifest> manifest = decode_manifest_without_memory(bytes);
  if (manifest.ok()) {
    memory().emplace(std::move(key), manifest.value());
  }
  return manifest;
}

}  // namespace weir::checkpoint
