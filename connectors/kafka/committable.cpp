#include "kafka/committable.h"

#include <algorithm>
#include <cctype>

#include <openssl/evp.h>

#include "weir/check.h"
#include "weir/codec.h"

namespace weir::kafka {
namespace {

constexpr std::size_t kNameSizeMax = 180;

std::string short_hash(std::string_view text) {
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  WEIR_CHECK(EVP_Digest(text.data(), text.size(), bytes, &size, EVP_sha256(), nullptr) == 1);
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (unsigned int i = 0; i < 16 && i < size; ++i) {
    out.push_back(kDigits[bytes[i] >> 4]);
    out.push_back(kDigits[bytes[i] & 15]);
  }
  return out;
}

bool take_number(std::string_view& text) {
  std::size_t digits = 0;
  while (digits < text.size() && std::isdigit(static_cast<unsigned char>(text[digits])) != 0) {
    ++digits;
  }
  text.remove_prefix(digits);
  return digits > 0;
}

}  // namespace

Result<PreparedTransaction> decode_prepared(const Committable& committable) {
  auto prepared = decode_value<PreparedTransaction>(committable.payload);
  if (!prepared.has_value() || prepared->format != 1) {
    return Error{ErrorCode::kCorruption, "kafka: committable of sink " + committable.id.sink_uid +
                                             ", checkpoint " +
                                             std::to_string(committable.id.checkpoint) +
                                             " is malformed or of a newer format"};
  }
  return *std::move(prepared);
}

Result<WriterState> decode_writer_state(const std::string& bytes) {
  auto state = decode_value<WriterState>(bytes);
  if (!state.has_value() || state->format != 1) {
    return Error{ErrorCode::kCorruption, "kafka: writer state is malformed or of a newer format"};
  }
  return *std::move(state);
}

std::string transactional_id(const std::string& prefix, int subtask, int slot) {
  return prefix + "-" + std::to_string(subtask) + "-" + std::to_string(slot);
}

bool is_id_of_prefix(std::string_view id, std::string_view prefix) {
  if (!id.starts_with(prefix)) {
    return false;
  }
  id.remove_prefix(prefix.size());
  if (!id.starts_with('-')) {
    return false;
  }
  id.remove_prefix(1);
  if (!take_number(id) || !id.starts_with('-')) {
    return false;
  }
  id.remove_prefix(1);
  return take_number(id) && id.empty();
}

std::string bounded_name(const std::string& name) {
  if (name.size() <= kNameSizeMax) {
    return name;
  }
  return name.substr(0, kNameSizeMax - 33) + "." + short_hash(name);
}

std::string default_prefix(const SinkContext& context) {
  // The lengths keep ("a.b", "c") and ("a", "b.c") apart.
  return bounded_name("weir." + std::to_string(context.pipeline_id.size()) + "." +
                      context.pipeline_id + "." + context.sink_uid);
}

std::string marker_group(const SinkContext& context, int subtask, int slot) {
  return bounded_name("__weir." + context.pipeline_id + "." + context.sink_uid) + "." +
         std::to_string(subtask) + "." + std::to_string(slot);
}

}  // namespace weir::kafka
