#pragma once

#include <string>
#include <string_view>

#include "kafka/secret.h"
#include "weir/result.h"

namespace weir::kafka {

enum class ScramHash { kSha256, kSha512 };

/// The client's side of SCRAM (RFC 5802, RFC 7677) without channel binding: a pure state machine.
/// first_message() -> server's answer -> final_message() -> server's answer -> verify_server().
/// The login counts only when verify_server() succeeded: it proves that the server knows the
/// password too.
class ScramClient {
 public:
  /// `nonce`: printable ASCII without comma, never used twice.
  ScramClient(ScramHash hash, std::string user, Secret password, std::string nonce);

  std::string first_message() const;
  Result<std::string> final_message(std::string_view server_first);
  Status verify_server(std::string_view server_final) const;

 private:
  ScramHash hash_;
  std::string user_;
  Secret password_;
  std::string nonce_;
  std::string server_signature_;
};

/// A nonce from the operating system's random source.
std::string random_nonce();

std::string base64_encode(std::string_view bytes);
/// Error on anything that is not canonical base64.
Result<std::string> base64_decode(std::string_view text);

}  // namespace weir::kafka
