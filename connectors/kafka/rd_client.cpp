#include "kafka/rd_client.h"

#include <algorithm>

#include "base/log.h"
#include "weir/check.h"

namespace weir::kafka {
namespace {

void log_from_client(const rd_kafka_t* client, int level, const char* facility,
                     const char* message) {
  const bool is_routine = std::string_view(facility) == "GETPID";  // retried while a broker starts
  // syslog levels: 3 = error, 4 = warning, 6 = info. Disconnects of idle connections are level 6;
  // what matters reaches the caller as an error, so nothing here is more than a warning.
  const auto to = level <= 4 && !is_routine ? spdlog::level::warn
                  : level <= 6              ? spdlog::level::debug
                                            : spdlog::level::trace;
  log().log(to, "kafka client {}: {}: {}", client == nullptr ? "" : rd_kafka_name(client), facility,
            message);
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) {
    row[j] = j;
  }
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

std::string nearest_property(const rd_kafka_conf_t* conf, const std::string& name) {
  std::size_t count = 0;
  const char** dump = rd_kafka_conf_dump(const_cast<rd_kafka_conf_t*>(conf), &count);
  std::string best;
  std::size_t best_distance = name.size();
  for (std::size_t i = 0; i + 1 < count; i += 2) {
    const std::size_t distance = edit_distance(name, dump[i]);
    if (distance < best_distance) {
      best_distance = distance;
      best = dump[i];
    }
  }
  rd_kafka_conf_dump_free(dump, count);
  // Aliases that users know better than the names in the dump.
  for (const char* alias : {"linger.ms", "acks", "compression.type", "bootstrap.servers",
                            "sasl.mechanism", "max.in.flight", "fetch.max.bytes", "retries",
                            "delivery.timeout.ms", "request.required.acks"}) {
    const std::size_t distance = edit_distance(name, alias);
    if (distance < best_distance) {
      best_distance = distance;
      best = alias;
    }
  }
  return best;
}

}  // namespace

Result<RdPtr<rd_kafka_conf_t>> make_rd_conf(const Properties& properties,
                                            const std::vector<std::string>& reserved) {
  RdPtr<rd_kafka_conf_t> conf(rd_kafka_conf_new());
  rd_kafka_conf_set_log_cb(conf.get(), log_from_client);
  // librdkafka 2.0 leaves the host name of a certificate unchecked unless told.
  set_rd(conf.get(), "ssl.endpoint.identification.algorithm", "https");
  for (const auto& [name, value] : properties.all()) {
    if (std::find(reserved.begin(), reserved.end(), name) != reserved.end()) {
      return Error{ErrorCode::kInvalidArgument,
                   "kafka: property " + name + " is set by weir itself; remove it"};
    }
    char text[512] = "";
    const rd_kafka_conf_res_t set =
        rd_kafka_conf_set(conf.get(), name.c_str(), value.reveal().c_str(), text, sizeof(text));
    if (set == RD_KAFKA_CONF_UNKNOWN) {
      return Error{ErrorCode::kInvalidArgument,
                   "kafka: unknown property '" + name +
                       "'; nearest known one: " + nearest_property(conf.get(), name)};
    }
    if (set != RD_KAFKA_CONF_OK) {
      return Error{ErrorCode::kInvalidArgument,
                   "kafka: property " + name + ": " + properties.masked(text)};
    }
  }
  return conf;
}

void set_rd(rd_kafka_conf_t* conf, const char* name, const std::string& value) {
  char text[512] = "";
  const bool was_set =
      rd_kafka_conf_set(conf, name, value.c_str(), text, sizeof(text)) == RD_KAFKA_CONF_OK;
  WEIR_CHECK_MESSAGE(was_set, text);
}

Error rd_error(rd_kafka_resp_err_t code, const std::string& doing, const std::string& detail) {
  ErrorCode kind = ErrorCode::kIo;
  switch (code) {
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
      kind = ErrorCode::kTimeout;
      break;
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
      kind = ErrorCode::kUnavailable;
      break;
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
      kind = ErrorCode::kAuthentication;
      break;
    case RD_KAFKA_RESP_ERR__FENCED:
    case RD_KAFKA_RESP_ERR_PRODUCER_FENCED:
    case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
      kind = ErrorCode::kFenced;
      break;
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
      kind = ErrorCode::kNotFound;
      break;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT:
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
      kind = ErrorCode::kInvalidArgument;
      break;
    default:
      break;
  }
  return Error{kind, "kafka: " + doing + ": " + rd_kafka_err2name(code) + " (" +
                         (detail.empty() ? rd_kafka_err2str(code) : detail) + ")"};
}

}  // namespace weir::kafka
