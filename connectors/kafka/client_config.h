#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kafka/secret.h"
#include "weir/result.h"

namespace weir::kafka {

/// Client settings under librdkafka's names. Every value is kept as a Secret, so that nothing can
/// print one by accident.
class Properties {
 public:
  void set(const std::string& name, std::string value) {
    values_.insert_or_assign(name, Secret(std::move(value)));
  }
  bool contains(const std::string& name) const { return values_.contains(name); }
  /// The value, or `otherwise`.
  std::string get(const std::string& name, std::string_view otherwise = "") const;
  std::optional<std::int64_t> get_integer(const std::string& name) const;
  const std::map<std::string, Secret>& all() const { return values_; }

  /// `text` with every value of a property that holds a credential replaced by "***".
  std::string masked(std::string text) const;

 private:
  std::map<std::string, Secret> values_;
};

/// A producer's queue takes `bytes` at most, and two of the largest messages at least, unless the
/// properties say otherwise.
void limit_producer_queue(Properties& properties, std::int64_t bytes);

struct HostPort {
  std::string host;
  int port = 9092;
};

enum class SaslMechanism { kNone, kPlain, kScramSha256, kScramSha512 };

/// What weir's own client needs of the properties: the same brokers, TLS and credentials that
/// librdkafka uses.
struct ClientConfig {
  std::vector<HostPort> brokers;
  bool use_tls = false;
  SaslMechanism mechanism = SaslMechanism::kNone;
  std::string user;
  Secret password;
  std::string ca_file;
  std::string certificate_file;
  std::string key_file;
  Secret key_password;
  bool verify_hostname = true;
  std::string client_id = "weir";
  /// Beyond the pauses of a broker's garbage collector: an error here fails the attempt.
  int connect_timeout_ms = 10'000;
  int request_timeout_ms = 15'000;
};

/// REQUIRES nothing; a setting weir's own client cannot serve is an error that names it.
Result<ClientConfig> make_client_config(const Properties& properties);

/// "a:1,b:2,[::1]:9092" -> hosts; port 9092 where none is given.
Result<std::vector<HostPort>> parse_bootstrap_servers(std::string_view text);

}  // namespace weir::kafka
