#include "kafka/connection.h"

#include <limits>

#include "kafka/scram.h"
#include "kafka/socket_stream.h"

namespace weir::kafka {
namespace {

/// More than any answer weir asks for; a length beyond it means that this is not Kafka.
constexpr std::int32_t kFrameSizeMax = 64 << 20;

Error malformed(ApiVersion api) {
  return Error{ErrorCode::kIo,
               "kafka: malformed answer to request " + std::to_string(static_cast<int>(api.key))};
}

class BrokerConnection final : public Connection {
 public:
  BrokerConnection(std::unique_ptr<SocketStream> stream, std::string client_id, HostPort address)
      : stream_(std::move(stream)),
        client_id_(std::move(client_id)),
        address_(address.host + ":" + std::to_string(address.port)) {}

  Result<std::string> call(ApiVersion api, std::string_view body, Deadline deadline) override {
    if (!is_usable_) {
      return Error{ErrorCode::kUnavailable, "kafka: connection to " + address_ + " is broken"};
    }
    // Until an answer was read in full and accepted, the stream's position is not known.
    is_usable_ = false;
    const std::int32_t id = ++correlation_id_;
    Result<std::string> frame = exchange(encode_request(api, id, client_id_, body), deadline);
    if (!frame.ok()) {
      return frame.error().with_context("kafka: request to " + address_);
    }
    const auto answer = response_body(api, id, frame.value());
    if (!answer.has_value()) {
      return malformed(api).with_context(address_);
    }
    is_usable_ = true;
    return std::string(*answer);
  }

  bool supports(ApiVersion api) const override {
    const auto found = apis_.find(static_cast<std::int16_t>(api.key));
    return found != apis_.end() && found->second.lowest <= api.version &&
           api.version <= found->second.highest;
  }

  Status log_in(const ClientConfig& config, Deadline deadline) {
    WEIR_ASSIGN(const std::string versions, call(kApiVersionsV0, "", deadline));
    auto apis = decode_api_versions(versions);
    if (!apis.has_value()) {
      return malformed(kApiVersionsV0);
    }
    apis_ = *std::move(apis);
    switch (config.mechanism) {
      case SaslMechanism::kNone:
        return {};
      case SaslMechanism::kPlain:
        return log_in_plain(config, deadline);
      case SaslMechanism::kScramSha256:
        return log_in_scram(config, ScramHash::kSha256, deadline);
      case SaslMechanism::kScramSha512:
        return log_in_scram(config, ScramHash::kSha512, deadline);
    }
    return {};
  }

 private:
  Result<std::string> exchange(const std::string& request, Deadline deadline) {
    WEIR_TRY(stream_->write_all(request, deadline));
    char header[4];
    WEIR_TRY(stream_->read_exactly(header, deadline));
    const auto size = WireReader(std::string_view(header, 4)).integer<std::int32_t>();
    if (size < 4 || size > kFrameSizeMax) {
      return Error{ErrorCode::kIo, "this does not look like a Kafka broker's answer"};
    }
    // Grown as bytes arrive: the length alone must not make us allocate.
    std::string frame;
    while (frame.size() < static_cast<std::size_t>(size)) {
      const std::size_t begin = frame.size();
      const std::size_t piece =
          std::min<std::size_t>(static_cast<std::size_t>(size) - begin, 1 << 20);
      frame.resize(begin + piece);
      WEIR_TRY(stream_->read_exactly(std::span<char>(frame.data() + begin, piece), deadline));
    }
    return frame;
  }

  Status handshake(std::string_view mechanism, Deadline deadline) {
    WEIR_ASSIGN(const std::string bytes,
                call(kSaslHandshakeV1, encode_sasl_handshake(mechanism), deadline));
    const auto answer = decode_sasl_handshake(bytes);
    if (!answer.has_value()) {
      return malformed(kSaslHandshakeV1);
    }
    if (answer->error == kNoError) {
      return {};
    }
    std::string offered;
    for (const std::string& one : answer->mechanisms) {
      offered += (offered.empty() ? "" : ", ") + one;
    }
    return Error{ErrorCode::kAuthentication,
                 "kafka: " + address_ + " does not accept sasl.mechanism " +
                     std::string(mechanism) + "; it offers: " + offered};
  }

  Result<std::string> authenticate(std::string_view token, Deadline deadline) {
    Result<std::string> bytes =
        call(kSaslAuthenticateV0, encode_sasl_authenticate(token), deadline);
    if (!bytes.ok()) {
      return bytes;
    }
    const auto answer = decode_sasl_authenticate(bytes.value());
    if (!answer.has_value()) {
      return malformed(kSaslAuthenticateV0);
    }
    if (answer->error != kNoError) {
      return Error{ErrorCode::kAuthentication, "kafka: " + address_ +
                                                   " refused the login, check sasl.username and "
                                                   "sasl.password: " +
                                                   answer->error_message};
    }
    return answer->token;
  }

  Status log_in_plain(const ClientConfig& config, Deadline deadline) {
    WEIR_TRY(handshake("PLAIN", deadline));
    const Secret token(std::string(1, '\0') + config.user + std::string(1, '\0') +
                       config.password.reveal());
    return authenticate(token.reveal(), deadline).status();
  }

  Status log_in_scram(const ClientConfig& config, ScramHash hash, Deadline deadline) {
    WEIR_TRY(handshake(hash == ScramHash::kSha256 ? "SCRAM-SHA-256" : "SCRAM-SHA-512", deadline));
    ScramClient scram(hash, config.user, config.password, random_nonce());
    WEIR_ASSIGN(const std::string challenge, authenticate(scram.first_message(), deadline));
    WEIR_ASSIGN(const std::string proof, scram.final_message(challenge));
    WEIR_ASSIGN(const std::string verdict, authenticate(proof, deadline));
    return scram.verify_server(verdict);
  }

  std::unique_ptr<SocketStream> stream_;
  std::string client_id_;
  std::string address_;
  std::int32_t correlation_id_ = 0;
  bool is_usable_ = true;
  SupportedApis apis_;
};

}  // namespace

Result<std::unique_ptr<Connection>> Connection::open(const ClientConfig& config,
                                                     const HostPort& address) {
  const Deadline deadline = deadline_after_ms(config.connect_timeout_ms);
  WEIR_ASSIGN(auto stream, SocketStream::connect(config, address, deadline));
  auto connection =
      std::make_unique<BrokerConnection>(std::move(stream), config.client_id, address);
  const Status logged_in = connection->log_in(config, deadline);
  if (!logged_in.ok()) {
    return logged_in.error();
  }
  return std::unique_ptr<Connection>(std::move(connection));
}

}  // namespace weir::kafka
