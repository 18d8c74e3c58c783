#include "kafka/test_host.h"

#include <algorithm>

#include <gtest/gtest.h>
#include <unistd.h>

#include "kafka/broker_client.h"
#include "kafka/rd_client.h"
#include "kafka/test_broker.h"

namespace weir::kafka::test {
namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 30s;

}  // namespace

TestExecutor::TestExecutor(int threads) {
  for (int i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { work(); });
  }
}

TestExecutor::~TestExecutor() {
  {
    const std::scoped_lock lock(mutex_);
    is_stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) {
    thread.join();
  }
}

BlockingExecutor TestExecutor::run_blocking() {
  return [this](std::function<void()> work) {
    const std::scoped_lock lock(mutex_);
    queue_.push_back(std::move(work));
    changed_.notify_one();
  };
}

void TestExecutor::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return is_stopping_ || !queue_.empty(); });
    if (queue_.empty()) {
      return;
    }
    std::function<void()> next = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    next();
    next = nullptr;
    lock.lock();
  }
}

Result<std::string> TestFiles::write(std::string_view hint, std::string_view bytes) {
  const std::scoped_lock lock(mutex_);
  const std::string name = std::string(hint) + "-" + std::to_string(files.size());
  files[name] = bytes;
  return name;
}

Result<std::string> TestFiles::read(std::string_view name) {
  const std::scoped_lock lock(mutex_);
  const auto found = files.find(std::string(name));
  if (found == files.end()) {
    return Error{ErrorCode::kNotFound, "no file " + std::string(name)};
  }
  return found->second;
}

SinkContext SinkHost::default_context() {
  static int count = 0;
  SinkContext context;
  context.pipeline_id = "test-" + std::to_string(::getpid()) + "-" + std::to_string(++count);
  context.sink_uid = "out";
  context.attempt = 1;
  context.is_checkpointing_enabled = true;
  context.checkpoint_interval = DurationMs(1'000);
  context.checkpoint_timeout = DurationMs(20'000);
  return context;
}

SinkHost::SinkHost(std::shared_ptr<Sink> sink, SinkContext context)
    : sink_(std::move(sink)), context_(std::move(context)) {
  context_.files = &files;
}

SinkHost::~SinkHost() { close_writer(); }

void SinkHost::close_writer() {
  if (writer_ != nullptr) {
    writer_->close();
    writer_.reset();
  }
}

void SinkHost::open() {
  SinkWriterContext context;
  context.subtask.uid = context_.sink_uid;
  context.sink = context_;
  context.metrics = &metrics;
  context.run_blocking = executor_.run_blocking();
  context.wake = [] {};
  auto writer = sink_->create_writer(std::move(context), {});
  ASSERT_TRUE(writer.ok()) << writer.error().message;
  writer_ = std::move(writer).value();
}

Status SinkHost::write(const std::vector<std::string>& lines) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  std::size_t done = 0;
  while (done < lines.size()) {
    WEIR_TRY(writer_->poll());
    if (!writer_->can_write()) {
      if (std::chrono::steady_clock::now() > deadline) {
        return Error{ErrorCode::kTimeout, "can_write() stays false"};
      }
      std::this_thread::sleep_for(1ms);
      continue;
    }
    BatchPtr batch = Batch::make<Line>();
    while (done < lines.size() && !batch->full()) {
      batch->push_back(Line{lines[done++]}, 1'700'000'000'000);
    }
    WEIR_TRY(writer_->write(*batch));
  }
  return {};
}

Result<std::vector<Committable>> SinkHost::prepare(CheckpointId checkpoint) {
  WEIR_TRY(writer_->begin_prepare(checkpoint));
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (std::chrono::steady_clock::now() < deadline) {
    WEIR_TRY(writer_->poll());
    WEIR_ASSIGN(auto prepared, writer_->poll_prepared(checkpoint));
    if (prepared.has_value()) {
      return *std::move(prepared);
    }
    std::this_thread::sleep_for(1ms);
  }
  return Error{ErrorCode::kTimeout, "poll_prepared() yields nothing"};
}

Committer& SinkHost::committer() {
  if (committer_ == nullptr) {
    auto created = sink_->create_committer(context_);
    EXPECT_TRUE(created.ok());
    committer_ = std::move(created).value();
  }
  return *committer_;
}

Result<CommitResult> SinkHost::commit(const Committable& committable) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    Result<CommitResult> result = committer().commit(committable);
    if (!result.ok() || result.value().outcome != CommitOutcome::kRetry ||
        std::chrono::steady_clock::now() > deadline) {
      return result;
    }
    std::this_thread::sleep_for(50ms);
  }
}

KafkaSinkBuilder<Line> line_sink(const std::string& topic) {
  KafkaSinkBuilder<Line> builder;
  builder.set_bootstrap_servers(TestBroker::get().bootstrap())
      .set_topic(topic)
      .set_record_serializer(
          [](const Line& line, TimestampMs, Record& out) { out.value = line.text; })
      .set_delivery_guarantee(DeliveryGuarantee::kExactlyOnce);
  return builder;
}

std::vector<std::string> read_topic(const std::string& topic, bool is_read_committed) {
  Properties properties;
  properties.set("bootstrap.servers", TestBroker::get().bootstrap());
  auto conf = make_rd_conf(properties, {});
  set_rd(conf.value().get(), "group.id", "reader-" + std::to_string(::getpid()));
  set_rd(conf.value().get(), "enable.partition.eof", "true");
  set_rd(conf.value().get(), "auto.offset.reset", "earliest");
  set_rd(conf.value().get(), "isolation.level",
         is_read_committed ? "read_committed" : "read_uncommitted");
  char text[512] = "";
  const RdPtr<rd_kafka_t> client(
      rd_kafka_new(RD_KAFKA_CONSUMER, conf.value().release(), text, sizeof(text)));
  rd_kafka_poll_set_consumer(client.get());
  BrokerClient facts(make_client_config(properties).value());
  const auto metadata = facts.metadata(std::vector<std::string>{topic});
  const int partitions = static_cast<int>(metadata.value().topics.front().partitions.size());
  const RdPtr<rd_kafka_topic_partition_list_t> list(rd_kafka_topic_partition_list_new(partitions));
  for (int i = 0; i < partitions; ++i) {
    rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), i)->offset =
        RD_KAFKA_OFFSET_BEGINNING;
  }
  rd_kafka_assign(client.get(), list.get());
  std::map<int, std::vector<std::string>> values;
  int ended = 0;
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (ended < partitions && std::chrono::steady_clock::now() < deadline) {
    rd_kafka_message_t* const message = rd_kafka_consumer_poll(client.get(), 100);
    if (message == nullptr) {
      continue;
    }
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
      ++ended;
    } else if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      values[message->partition].emplace_back(static_cast<const char*>(message->payload),
                                              message->len);
    }
    rd_kafka_message_destroy(message);
  }
  rd_kafka_consumer_close(client.get());
  std::vector<std::string> all;
  for (const auto& [partition, some] : values) {
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

std::vector<std::string> read_until(const std::string& topic, std::size_t count) {
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  for (;;) {
    std::vector<std::string> values = read_topic(topic);
    if (values.size() >= count || std::chrono::steady_clock::now() > deadline) {
      return values;
    }
    std::this_thread::sleep_for(50ms);
  }
}

std::pair<std::int64_t, std::int64_t> stable_and_end_offset(const std::string& topic) {
  Properties properties;
  properties.set("bootstrap.servers", TestBroker::get().bootstrap());
  BrokerClient client(make_client_config(properties).value());
  const TopicPartition where{topic, 0};
  auto stable = client.list_offsets({where}, -1, true);
  auto end = client.list_offsets({where}, -1, false);
  EXPECT_TRUE(stable.ok() && end.ok());
  return {stable.value()[where], end.value()[where]};
}

}  // namespace weir::kafka::test
