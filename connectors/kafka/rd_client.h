#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <librdkafka/rdkafka.h>

#include "kafka/client_config.h"
#include "weir/result.h"

namespace weir::kafka {

struct RdDestroy {
  void operator()(rd_kafka_conf_t* conf) const { rd_kafka_conf_destroy(conf); }
  void operator()(rd_kafka_topic_t* topic) const { rd_kafka_topic_destroy(topic); }
  void operator()(rd_kafka_queue_t* queue) const { rd_kafka_queue_destroy(queue); }
  void operator()(rd_kafka_error_t* error) const { rd_kafka_error_destroy(error); }
  void operator()(rd_kafka_topic_partition_list_t* list) const {
    rd_kafka_topic_partition_list_destroy(list);
  }
  void operator()(rd_kafka_consumer_group_metadata_t* group) const {
    rd_kafka_consumer_group_metadata_destroy(group);
  }
  void operator()(rd_kafka_t* client) const { rd_kafka_destroy(client); }
};
template <class T>
using RdPtr = std::unique_ptr<T, RdDestroy>;

/// Wakes a task that may be gone already.
class Waker {
 public:
  explicit Waker(std::function<void()> wake) : wake_(std::move(wake)) {}
  void wake() {
    const std::scoped_lock lock(mutex_);
    if (wake_) {
      wake_();
    }
  }
  /// After this nobody is woken any more.
  void disarm() {
    const std::scoped_lock lock(mutex_);
    wake_ = nullptr;
  }

 private:
  std::mutex mutex_;
  std::function<void()> wake_;
};

/// A librdkafka configuration from `properties`. An unknown or bad one is an error that names it,
/// the nearest known name, and no secret. `reserved` names may not be set by the user.
Result<RdPtr<rd_kafka_conf_t>> make_rd_conf(const Properties& properties,
                                            const std::vector<std::string>& reserved);
/// Sets one property weir chooses itself.
void set_rd(rd_kafka_conf_t* conf, const char* name, const std::string& value);

/// "<doing>: <name of the error> <text>", as the kind of error a caller reacts to.
Error rd_error(rd_kafka_resp_err_t code, const std::string& doing, const std::string& detail = "");

}  // namespace weir::kafka
