#include "kafka/client_config.h"

#include <algorithm>
#include <charconv>

namespace weir::kafka {
namespace {

bool holds_credential(std::string_view name) {
  return name.find("password") != std::string_view::npos ||
         name.find("secret") != std::string_view::npos || name.ends_with(".pem") ||
         name == "sasl.oauthbearer.config" || name == "sasl.jaas.config";
}

Error invalid(std::string message) {
  return Error{ErrorCode::kInvalidArgument, "kafka: " + std::move(message)};
}

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

Result<SaslMechanism> parse_mechanism(const std::string& name) {
  if (name == "PLAIN") {
    return SaslMechanism::kPlain;
  }
  if (name == "SCRAM-SHA-256") {
    return SaslMechanism::kScramSha256;
  }
  if (name == "SCRAM-SHA-512") {
    return SaslMechanism::kScramSha512;
  }
  return invalid("sasl.mechanism is '" + name +
                 "'; weir supports PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512, because it must be "
                 "able to finish a commit after a crash with its own client");
}

Status read_security(const Properties& properties, ClientConfig& config) {
  const std::string protocol = upper(properties.get("security.protocol", "PLAINTEXT"));
  const bool use_sasl = protocol == "SASL_PLAINTEXT" || protocol == "SASL_SSL";
  config.use_tls = protocol == "SSL" || protocol == "SASL_SSL";
  if (!use_sasl && !config.use_tls && protocol != "PLAINTEXT") {
    return invalid("security.protocol is '" + protocol +
                   "'; known are plaintext, ssl, sasl_plaintext and sasl_ssl");
  }
  if (!use_sasl) {
    return {};
  }
  const std::string mechanism =
      upper(properties.get("sasl.mechanism", properties.get("sasl.mechanisms", "")));
  if (mechanism.empty()) {
    return invalid("security.protocol needs sasl.mechanism (PLAIN, SCRAM-SHA-256, SCRAM-SHA-512)");
  }
  WEIR_ASSIGN(config.mechanism, parse_mechanism(mechanism));
  config.user = properties.get("sasl.username");
  config.password = Secret(properties.get("sasl.password"));
  if (config.user.empty() || config.password.empty()) {
    return invalid("sasl.mechanism needs both sasl.username and sasl.password");
  }
  return {};
}

}  // namespace

std::string Properties::get(const std::string& name, std::string_view otherwise) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::string(otherwise) : found->second.reveal();
}

std::optional<std::int64_t> Properties::get_integer(const std::string& name) const {
  const std::string text = get(name);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

void limit_producer_queue(Properties& properties, std::int64_t bytes) {
  constexpr std::int64_t kMessageBytesDefault = 1'000'000;
  if (!properties.contains("queue.buffering.max.kbytes")) {
    const std::int64_t least =
        2 * properties.get_integer("message.max.bytes").value_or(kMessageBytesDefault);
    properties.set("queue.buffering.max.kbytes", std::to_string(std::max(bytes, least) / 1024));
  }
}

std::string Properties::masked(std::string text) const {
  for (const auto& [name, value] : values_) {
    if (!holds_credential(name) || value.empty()) {
      continue;
    }
    std::size_t at = 0;
    while ((at = text.find(value.reveal(), at)) != std::string::npos) {
      text.replace(at, value.reveal().size(), "***");
      at += 3;
    }
  }
  return text;
}

Result<std::vector<HostPort>> parse_bootstrap_servers(std::string_view text) {
  std::vector<HostPort> brokers;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    std::string_view one = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    while (one.starts_with(' ')) {
      one.remove_prefix(1);
    }
    while (one.ends_with(' ')) {
      one.remove_suffix(1);
    }
    // librdkafka also takes "SASL_SSL://host:port"; the protocol itself is security.protocol.
    if (const std::size_t scheme = one.find("://"); scheme != std::string_view::npos) {
      one.remove_prefix(scheme + 3);
    }
    if (one.empty()) {
      continue;
    }
    HostPort broker;
    const bool is_bracketed = one.starts_with('[') && one.find(']') != std::string_view::npos;
    const std::size_t host_end =
        is_bracketed ? one.find(']') + 1 : std::min(one.rfind(':'), one.size());
    broker.host = is_bracketed ? one.substr(1, host_end - 2) : one.substr(0, host_end);
    std::string_view port = one.substr(std::min(host_end, one.size()));
    if (port.starts_with(':')) {
      port.remove_prefix(1);
      const auto [end, error] =
          std::from_chars(port.data(), port.data() + port.size(), broker.port);
      if (error != std::errc() || end != port.data() + port.size() || broker.port < 1 ||
          broker.port > 65'535) {
        return invalid("bootstrap.servers: '" + std::string(one) + "' has no valid port");
      }
    }
    if (broker.host.empty()) {
      return invalid("bootstrap.servers: '" + std::string(one) + "' has no host");
    }
    brokers.push_back(std::move(broker));
  }
  if (brokers.empty()) {
    return invalid("bootstrap.servers is empty; give at least one host:port");
  }
  return brokers;
}

Result<ClientConfig> make_client_config(const Properties& properties) {
  ClientConfig config;
  WEIR_ASSIGN(config.brokers, parse_bootstrap_servers(properties.get("bootstrap.servers")));
  WEIR_TRY(read_security(properties, config));
  config.ca_file = properties.get("ssl.ca.location");
  config.certificate_file = properties.get("ssl.certificate.location");
  config.key_file = properties.get("ssl.key.location");
  config.key_password = Secret(properties.get("ssl.key.password"));
  // librdkafka 2.0 checks host names only when told to; weir does unless told otherwise.
  config.verify_hostname =
      properties.get("ssl.endpoint.identification.algorithm", "https") != "none";
  config.client_id = properties.get("client.id", "weir");
  for (const char* name : {"ssl.keystore.location", "ssl.certificate.pem", "ssl.key.pem",
                           "ssl.ca.pem", "ssl.engine.location"}) {
    if (config.use_tls && properties.contains(name)) {
      return invalid(std::string(name) +
                     " is not supported; use ssl.ca.location, ssl.certificate.location and "
                     "ssl.key.location (PEM files)");
    }
  }
  if (properties.get("enable.ssl.certificate.verification", "true") == "false") {
    return invalid(
        "enable.ssl.certificate.verification=false is refused; name the broker's CA "
        "in ssl.ca.location instead");
  }
  return config;
}

}  // namespace weir::kafka
