#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace weir::kafka {

class ProducerHandle;

/// One thread per process that serves the callbacks of every producer a few times a second.
/// Without it the statistics of a producer whose task sleeps would pile up, and its errors would
/// stay unseen. The thread runs only while there are producers.
class HandlePoller {
 public:
  static HandlePoller& instance();

  void add(std::weak_ptr<ProducerHandle> handle);
  ~HandlePoller();

 private:
  void run();
  std::vector<std::shared_ptr<ProducerHandle>> living();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::weak_ptr<ProducerHandle>> handles_;
  bool is_stopping_ = false;
  std::thread thread_;
};

}  // namespace weir::kafka
