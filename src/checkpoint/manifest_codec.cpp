#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/crc32c.h"
#include "base/planted_bug.h"
#include "checkpoint/manifest.h"
#include "checkpoint/manifest_json.h"

namespace weir::checkpoint {
namespace {

constexpr std::string_view kMagic = "WEIRCKPT";
/// magic[8] version:u32 body_length:u64 body_crc:u32 header_crc:u32. Fixed for all versions.
constexpr std::size_t kVersionAt = 8;
constexpr std::size_t kLengthAt = 12;
constexpr std::size_t kBodyCrcAt = 20;
constexpr std::size_t kHeaderCrcAt = 24;
constexpr std::size_t kHeaderBytes = 28;
/// A manifest holds handles, positions and small lists; more than this is not one.
constexpr std::uint64_t kBodyBytesMax = 256U << 20;

template <class T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <class T>
T load(std::string_view bytes, std::size_t offset) {
  T value{};
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

Error corrupt(const std::string& what) { return Error{ErrorCode::kCorruption, what}; }

}  // namespace

Result<std::string> encode_manifest(const Manifest& manifest) {
  WEIR_TRY(validate_manifest(manifest));
  const std::string body = manifest_to_json(manifest);
  if (body.size() > kBodyBytesMax) {
    return Error{ErrorCode::kInvalidArgument,
                 "manifest of checkpoint " + std::to_string(manifest.checkpoint) + " has " +
                     std::to_string(body.size()) +
                     " bytes, more than a manifest may have; keep large operator state in keyed "
                     "state"};
  }
  std::string out(kMagic);
  out.reserve(kHeaderBytes + body.size());
  put(out, kManifestVersion);
  put(out, static_cast<std::uint64_t>(body.size()));
  put(out, crc32c(body));
  put(out, crc32c(out));
  return out + body;
}

Result<Manifest> decode_manifest(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes) {
    return corrupt("manifest is cut short: " + std::to_string(bytes.size()) + " bytes");
  }
  if (bytes.substr(0, kMagic.size()) != kMagic) {
    return corrupt("not a manifest: wrong magic at byte 0");
  }
  if (load<std::uint32_t>(bytes, kHeaderCrcAt) != crc32c(bytes.substr(0, kHeaderCrcAt))) {
    return corrupt("manifest has a wrong header checksum at byte " + std::to_string(kHeaderCrcAt));
  }
  const auto version = load<std::uint32_t>(bytes, kVersionAt);
  if (version > kManifestVersion) {
    return Error{ErrorCode::kInvalidArgument,
                 "manifest has format version " + std::to_string(version) +
                     ", written by a newer weir; this one reads up to version " +
                     std::to_string(kManifestVersion)};
  }
  const auto length = load<std::uint64_t>(bytes, kLengthAt);
  if (version == 0 || length > kBodyBytesMax || length != bytes.size() - kHeaderBytes) {
    return corrupt("manifest should have " + std::to_string(length) + " bytes after byte " +
                   std::to_string(kHeaderBytes) + ", it has " +
                   std::to_string(bytes.size() - kHeaderBytes));
  }
  const std::string_view body = bytes.substr(kHeaderBytes);
  if (load<std::uint32_t>(bytes, kBodyCrcAt) != crc32c(body) && !planted_bug("E5")) {
    return corrupt("manifest has a wrong checksum of the body at byte " +
                   std::to_string(kHeaderBytes));
  }
  WEIR_ASSIGN(Manifest manifest, manifest_from_json(body));
  const Status valid = validate_manifest(manifest);
  if (!valid.ok()) {
    return corrupt(valid.error().message);
  }
  return manifest;
}

}  // namespace weir::checkpoint
