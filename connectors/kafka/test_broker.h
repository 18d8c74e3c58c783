#pragma once

#include <string>
#include <vector>

namespace weir::kafka::test {

/// The real broker that the tests talk to; started at first use by tools/servers/kafka.py and
/// killed with the process that needs it. Tests that ctest runs one by one share one broker.
///
/// WEIR_SKIP_KAFKA=1 skips the tests that need it; otherwise a broker that cannot be had fails
/// them. WEIR_KAFKA_VERSION chooses the broker's release (4.2.0, 3.9.2).
class TestBroker {
 public:
  static TestBroker& get();
  static bool is_skipped();

  const std::string& bootstrap() const { return plaintext_; }
  const std::string& sasl_bootstrap() const { return sasl_; }
  const std::string& ssl_bootstrap() const { return ssl_; }
  const std::string& ca_file() const { return ca_file_; }
  const std::string& folder() const { return folder_; }
  const std::string& version() const { return version_; }
  bool is_old_protocol() const { return version_.starts_with("3."); }

  /// A topic with a name no other test uses.
  std::string make_topic(const std::string& stem, int partitions = 1);
  void create_topic(const std::string& name, int partitions = 1);
  void delete_topic(const std::string& name);
  /// Codec number of the first batch in the topic's log file: 0 none, 1 gzip, 2 snappy, 3 lz4, 4
  /// zstd.
  int stored_codec(const std::string& topic);
  /// SIGKILL, and start again with the same data.
  void kill();
  void restart();

 private:
  TestBroker();
  /// Runs kafka.py; aborts the test program when it fails.
  std::string control(const std::vector<std::string>& arguments);

  std::string folder_;
  std::string plaintext_;
  std::string sasl_;
  std::string ssl_;
  std::string ca_file_;
  std::string version_;
};

}  // namespace weir::kafka::test

#define WEIR_NEEDS_KAFKA()                             \
  if (::weir::kafka::test::TestBroker::is_skipped()) { \
    GTEST_SKIP() << "WEIR_SKIP_KAFKA is set";          \
  }
