#include "kafka/replay_spool.h"

#include "weir/check.h"

namespace weir::kafka {

void ReplaySpool::add(std::string chunk) {
  std::size_t index = 0;
  {
    const std::scoped_lock lock(mutex_);
    index = names_.size();
    names_.emplace_back();
    ++in_flight_;
  }
  pool_->run(
      [self = shared_from_this(), index, chunk = std::move(chunk)] { self->store(index, chunk); });
}

void ReplaySpool::store(std::size_t index, const std::string& chunk) {
  Result<std::string> name = files_->write("kafka-replay", chunk);
  {
    const std::scoped_lock lock(mutex_);
    --in_flight_;
    if (name.ok()) {
      names_[index] = std::move(name).value();
    } else if (error_.ok()) {
      error_ = name.error().with_context("kafka: storing the replay log");
    }
  }
  waker_->wake();
}

int ReplaySpool::in_flight() const {
  const std::scoped_lock lock(mutex_);
  return in_flight_;
}

Status ReplaySpool::error() const {
  const std::scoped_lock lock(mutex_);
  return error_;
}

std::vector<std::string> ReplaySpool::names() const {
  const std::scoped_lock lock(mutex_);
  WEIR_CHECK(in_flight_ == 0 && error_.ok());
  return names_;
}

}  // namespace weir::kafka
