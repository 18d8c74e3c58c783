#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace crash {

/// A real Kafka broker of this test program's own (tools/servers/kafka.py), started once and killed
/// with the program.
class Broker {
 public:
  /// Starts it at the first call. Nullptr when Java or the jars are not there, unless
  /// WEIR_REQUIRE_KAFKA=1: then that is the end of the program.
  static Broker* get();

  const std::string& bootstrap() const { return bootstrap_; }
  const std::string& sasl_bootstrap() const { return sasl_bootstrap_; }

  /// A topic with a name nobody uses yet.
  std::string create_topic(const std::string& stem, int partitions = 1,
                           const std::vector<std::string>& config = {});
  void create_topic_named(const std::string& name, int partitions);
  void delete_topic(const std::string& name);
  void stop() { control({"stop"}); }
  void kill() { control({"kill"}); }
  void restart() { control({"restart"}); }
  void pause() { control({"pause"}); }
  void resume() { control({"resume"}); }

  /// End offsets by partition: of committed records (the last stable offset), and of all.
  std::map<int, std::int64_t> stable_ends(const std::string& topic);
  std::map<int, std::int64_t> log_ends(const std::string& topic);
  /// Waits until no transaction is open on the topic: the last stable offset is the end.
  bool is_stable_within(const std::string& topic, int timeout_ms);

 private:
  Broker() = default;
  ~Broker();
  int start();
  std::string control(std::vector<std::string> words);
  std::map<int, std::int64_t> ends(const std::string& topic, const std::string& isolation);

  std::string folder_;
  std::string bootstrap_;
  std::string sasl_bootstrap_;
  int topics_ = 0;
};

}  // namespace crash

/// At the start of a test: skips it when there is no broker.
#define NEEDS_BROKER()                                          \
  if (::crash::Broker::get() == nullptr) {                      \
    GTEST_SKIP() << "no Kafka broker here (Java or jars)";      \
  }                                                             \
  ::crash::Broker& broker = *::crash::Broker::get()
