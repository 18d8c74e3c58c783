#include "kafka/scram.h"

#include <charconv>
#include <vector>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "weir/check.h"

namespace weir::kafka {
namespace {

constexpr int kIterationsMin = 1;
/// A hostile server could otherwise keep the client busy for hours.
constexpr int kIterationsMax = 1'000'000;

const EVP_MD* digest_of(ScramHash hash) {
  return hash == ScramHash::kSha256 ? EVP_sha256() : EVP_sha512();
}

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string hmac(ScramHash hash, std::string_view key, std::string_view data) {
  std::string out(EVP_MAX_MD_SIZE, '\0');
  unsigned int size = 0;
  WEIR_CHECK(HMAC(digest_of(hash), key.data(), static_cast<int>(key.size()), bytes_of(data),
                  data.size(), reinterpret_cast<unsigned char*>(out.data()), &size) != nullptr);
  out.resize(size);
  return out;
}

std::string digest(ScramHash hash, std::string_view data) {
  std::string out(EVP_MAX_MD_SIZE, '\0');
  unsigned int size = 0;
  WEIR_CHECK(EVP_Digest(data.data(), data.size(), reinterpret_cast<unsigned char*>(out.data()),
                        &size, digest_of(hash), nullptr) == 1);
  out.resize(size);
  return out;
}

/// "=" and "," separate attributes, so a user name must not contain them (RFC 5802, 5.1).
std::string escaped_user(std::string_view user) {
  std::string out;
  for (const char c : user) {
    if (c == '=') {
      out += "=3D";
    } else if (c == ',') {
      out += "=2C";
    } else {
      out.push_back(c);
    }
  }
  return out;
}

/// Value of attribute `name` in "a=x,b=y".
std::string_view attribute(std::string_view message, char name) {
  while (!message.empty()) {
    const std::size_t comma = std::min(message.find(','), message.size());
    const std::string_view one = message.substr(0, comma);
    if (one.size() >= 2 && one[0] == name && one[1] == '=') {
      return one.substr(2);
    }
    message.remove_prefix(std::min(comma + 1, message.size()));
  }
  return {};
}

Error refused(std::string message) {
  return Error{ErrorCode::kAuthentication, "kafka: SCRAM login: " + std::move(message)};
}

}  // namespace

std::string base64_encode(std::string_view bytes) {
  std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), bytes_of(bytes),
                                   static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

Result<std::string> base64_decode(std::string_view text) {
  std::string out(text.size() / 4 * 3 + 1, '\0');
  const int size = text.size() % 4 != 0 || text.size() > 65'536
                       ? -1
                       : EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                         bytes_of(text), static_cast<int>(text.size()));
  if (size < 0) {
    return Error{ErrorCode::kCorruption, "malformed base64"};
  }
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  out.resize(static_cast<std::size_t>(size) - padding);
  return out;
}

std::string random_nonce() {
  std::string bytes(24, '\0');
  WEIR_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()),
                        static_cast<int>(bytes.size())) == 1);
  return base64_encode(bytes);
}

ScramClient::ScramClient(ScramHash hash, std::string user, Secret password, std::string nonce)
    : hash_(hash),
      user_(escaped_user(user)),
      password_(std::move(password)),
      nonce_(std::move(nonce)) {}

std::string ScramClient::first_message() const { return "n,,n=" + user_ + ",r=" + nonce_; }

Result<std::string> ScramClient::final_message(std::string_view server_first) {
  const std::string_view nonce = attribute(server_first, 'r');
  const std::string_view iterations_text = attribute(server_first, 'i');
  if (!nonce.starts_with(nonce_) || nonce.size() == nonce_.size()) {
    return refused("the broker did not answer with our nonce");
  }
  const Result<std::string> salt = base64_decode(attribute(server_first, 's'));
  int iterations = 0;
  std::from_chars(iterations_text.data(), iterations_text.data() + iterations_text.size(),
                  iterations);
  if (!salt.ok() || salt.value().empty() || iterations < kIterationsMin ||
      iterations > kIterationsMax) {
    return refused("the broker's challenge is malformed");
  }
  std::string salted(static_cast<std::size_t>(EVP_MD_get_size(digest_of(hash_))), '\0');
  WEIR_CHECK(PKCS5_PBKDF2_HMAC(password_.reveal().data(),
                               static_cast<int>(password_.reveal().size()), bytes_of(salt.value()),
                               static_cast<int>(salt.value().size()), iterations, digest_of(hash_),
                               static_cast<int>(salted.size()),
                               reinterpret_cast<unsigned char*>(salted.data())) == 1);
  const std::string client_key = hmac(hash_, salted, "Client Key");
  const std::string stored_key = digest(hash_, client_key);
  const std::string without_proof = "c=biws,r=" + std::string(nonce);
  const std::string auth_message =
      "n=" + user_ + ",r=" + nonce_ + "," + std::string(server_first) + "," + without_proof;
  std::string proof = hmac(hash_, stored_key, auth_message);
  for (std::size_t i = 0; i < proof.size(); ++i) {
    proof[i] = static_cast<char>(proof[i] ^ client_key[i]);
  }
  server_signature_ = hmac(hash_, hmac(hash_, salted, "Server Key"), auth_message);
  OPENSSL_cleanse(salted.data(), salted.size());
  return without_proof + ",p=" + base64_encode(proof);
}

Status ScramClient::verify_server(std::string_view server_final) const {
  if (const std::string_view error = attribute(server_final, 'e'); !error.empty()) {
    return refused("the broker refused the login: " + std::string(error));
  }
  const Result<std::string> signature = base64_decode(attribute(server_final, 'v'));
  if (server_signature_.empty() || !signature.ok() ||
      signature.value().size() != server_signature_.size() ||
      CRYPTO_memcmp(signature.value().data(), server_signature_.data(), server_signature_.size()) !=
          0) {
    return refused("the broker's signature is wrong; it does not know the password");
  }
  return {};
}

}  // namespace weir::kafka
