#include "runtime/task.h"

#include <future>
#include <stdexcept>
#include <string>
#include <vector>

#include "io/faulty_file_system.h"
#include "runtime/runtime_harness.h"
#include "weir/keyed_operators.h"
#include "weir/stateless_operators.h"

namespace weir::runtime::test {
namespace {

/// A sink writer the test sees through.
struct SinkLog {
  std::vector<std::int64_t> written;
  std::vector<CheckpointId> begun;
  bool can_write = true;
  bool is_flushed = true;
};
class LoggingWriter final : public SinkWriter {
 public:
  explicit LoggingWriter(SinkLog& log) : log_(log) {}
  Status write(const Batch& batch) override {
    for (const std::int64_t number : numbers_of(batch)) {
      log_.written.push_back(number);
    }
    return {};
  }
  bool can_write() override { return log_.can_write; }
  Status begin_prepare(CheckpointId checkpoint) override {
    log_.begun.push_back(checkpoint);
    return {};
  }
  Result<std::optional<std::vector<Committable>>> poll_prepared(CheckpointId checkpoint) override {
    if (!log_.is_flushed) {
      return std::optional<std::vector<Committable>>();
    }
    Committable committable;
    committable.id = {"sink", 0, checkpoint, 1};
    return std::optional<std::vector<Committable>>({committable});
  }

 private:
  SinkLog& log_;
};
class LoggingSink final : public Sink {
 public:
  explicit LoggingSink(SinkLog& log) : log_(log) {}
  DeliveryGuarantee guarantee() const override { return DeliveryGuarantee::kExactlyOnce; }
  const TypeOps& record_type() const override { return type_ops<Row>(); }
  Status preflight(const SinkContext&) override { return {}; }
  Result<std::unique_ptr<SinkWriter>> create_writer(SinkWriterContext,
                                                    const std::vector<std::string>&) override {
    return std::unique_ptr<SinkWriter>(std::make_unique<LoggingWriter>(log_));
  }
  Result<std::unique_ptr<Committer>> create_committer(const SinkContext&) override {
    return Error{};
  }

 private:
  SinkLog& log_;
};

/// Sums per key and emits the sums at the end of input by a timer at the final watermark.
class SumAtTheEnd : public KeyedProcessFunction<std::int64_t, Row, Row> {
 public:
  void open(OpenContext& context) override { sum_ = context.value_state<std::int64_t>("sum"); }
  void process_element(const Row& row, Context& context, Collector<Row>&) override {
    if (row.number < 0) {
      throw std::runtime_error("a negative number");
    }
    sum_.mutable_value() += row.number;
    context.timer_service().register_event_time_timer(1'000'000);
  }
  void on_timer(TimestampMs, Context& context, Collector<Row>& out) override {
    out.collect(Row{context.current_key(), *sum_.value()});
  }

 private:
  ValueState<std::int64_t> sum_;
};

/// Keeps 64 KB per key, and writes them anew with every row.
class KeepMuch : public KeyedProcessFunction<std::int64_t, Row, Row> {
 public:
  static constexpr std::size_t kBytes = std::size_t{64} << 10;
  static inline std::int64_t rows_seen = 0;
  void open(OpenContext& context) override { much_ = context.value_state<std::string>("much"); }
  void process_element(const Row& row, Context&, Collector<Row>&) override {
    ++rows_seen;
    much_.mutable_value().assign(kBytes, static_cast<char>('a' + row.number % 26));
  }

 private:
  ValueState<std::string> much_;
};

template <class F>
std::unique_ptr<Operator> keyed_operator() {
  return std::make_unique<detail::KeyedProcessOperator<F>>(F(), by_key(),
                                                           std::vector<std::string>());
}

/// channel -> [sum per key -> sink] with a second edge to a channel the test reads.
class TaskTest : public ::testing::Test {
 protected:
  explicit TaskTest(FileSystem* files = nullptr) : host_(files) {}

  void start(std::size_t inputs = 1,
             std::unique_ptr<Operator> (*create)() = keyed_operator<SumAtTheEnd>) {
    inputs_ = std::make_unique<Channels>(inputs);
    PlanOperator sum;
    sum.uid = "sum";
    sum.name = "sum";
    sum.has_keyed_state = true;
    sum.create_operator = create;
    sum.outputs = {{{.chained_operator = 1}, {.edge = 1}}};
    PlanOperator sink;
    sink.uid = "sink";
    sink.name = "sink";
    sink.sink = std::make_shared<LoggingSink>(sink_);
    sink.outputs.resize(1);
    vertex_.operators = {sum, sink};
    vertex_.max_parallelism = 8;
    vertex_.name = "sum -> sink";

    Task::Wiring wiring;
    for (std::size_t i = 0; i < inputs; ++i) {
      wiring.inputs.push_back({&(*inputs_)[i], 0, 0});
    }
    EdgeOutput::Options options;
    options.edge = 1;
    wiring.outputs.push_back(
        std::make_unique<EdgeOutput>(options, std::vector<EdgeOutput::Target>{{0, &output_[0]}}));
    wiring.output_edges.push_back(1);
    task_ = std::make_unique<Task>(0, vertex_, 0, host_.environment, std::move(wiring),
                                   TaskRestore(), signal_);
    EXPECT_EQ(task_->step(), Task::Progress::kProgress);
    EXPECT_EQ(host_.listener.running, 1);
  }
  void send(std::size_t input, BatchPtr batch) {
    by_key()->hash(*batch);
    inputs_->push(input, Element::of(std::move(batch)));
  }
  /// Until there is nothing to do, I/O included.
  void run() {
    for (int quiet = 0; quiet < 3;) {
      quiet = task_->step() == Task::Progress::kProgress ? 0 : quiet + 1;
      host_.io.wait_idle();
    }
  }
  Element barrier(CheckpointId checkpoint, bool is_terminal = false) {
    EXPECT_TRUE(host_.store->begin_checkpoint(checkpoint).ok());
    return Element::of_barrier({checkpoint, is_terminal, false});
  }
  std::vector<Element::Kind> sent_kinds() {
    std::vector<Element::Kind> kinds;
    for (const Element& element : output_.take_all(0)) {
      kinds.push_back(element.kind);
    }
    return kinds;
  }

  Host host_;
  SinkLog sink_;
  PlanVertex vertex_;
  WakeSignal signal_;
  std::unique_ptr<Channels> inputs_;
  Channels output_{1};
  std::unique_ptr<Task> task_;
};
using Kind = Element::Kind;

TEST_F(TaskTest, AtTheEndOfDataTimersFireBeforeTheEndGoesDownstream) {
  start();
  send(0, rows(1, 4, 2));
  inputs_->push(0, Element::of_watermark(kMaxTimestamp));
  inputs_->push(0, Element::of(Kind::kEndOfInput));
  run();
  EXPECT_EQ(host_.listener.ended, 1);
  EXPECT_EQ(sink_.written.size(), 2U);  // one sum per key
  EXPECT_EQ(sent_kinds(), (std::vector<Kind>{Kind::kBatch, Kind::kWatermark, Kind::kEndOfInput}));
}

TEST_F(TaskTest, AfterTheEndOfDataTheFinalCheckpointStillPasses) {
  start();
  inputs_->push(0, Element::of(Kind::kEndOfInput));
  run();
  inputs_->push(0, barrier(7, true));
  run();
  ASSERT_TRUE(host_.listener.acks.contains(7));
  EXPECT_EQ(sent_kinds().back(), Kind::kBarrier);
}

TEST_F(TaskTest, ACheckpointHoldsWhatCameBeforeItsBarrierAndTheSumsOfItsEdges) {
  start();
  send(0, rows(1, 5, 2));
  inputs_->push(0, Element::of_watermark(5));
  inputs_->push(0, barrier(1));
  send(0, rows(6, 100, 2));
  run();
  ASSERT_TRUE(host_.listener.acks.contains(1));
  const TaskSnapshot& snapshot = host_.listener.acks.at(1);
  ASSERT_EQ(snapshot.operators.size(), 1U);
  EXPECT_EQ(snapshot.operators[0].uid, "sum");
  ASSERT_EQ(snapshot.operators[0].snapshot.files.size(), 1U);
  EXPECT_EQ(snapshot.operators[0].snapshot.key_group_watermarks.front().watermark, 5);
  EXPECT_EQ(snapshot.operators[0].snapshot.key_group_watermarks.front().key_groups.last, 7);
  ASSERT_EQ(snapshot.sinks.size(), 1U);
  ASSERT_EQ(snapshot.sinks[0].committables.size(), 1U);
  EXPECT_EQ(snapshot.sinks[0].committables[0].id.checkpoint, 1);
  EXPECT_EQ(snapshot.received[0].sums.count, 5U);
  EXPECT_EQ(snapshot.sent[0].sums.count, 0U);
  EXPECT_EQ(sink_.begun, (std::vector<CheckpointId>{1}));
}

TEST_F(TaskTest, TheAcknowledgementWaitsForTheSinksFlush) {
  start();
  sink_.is_flushed = false;
  inputs_->push(0, barrier(1));
  run();
  EXPECT_TRUE(host_.listener.acks.empty());
  EXPECT_EQ(sent_kinds(), (std::vector<Kind>{Kind::kBarrier}));  // which did not wait
  send(0, rows(1, 3));
  run();  // records of the next epoch are taken meanwhile
  sink_.is_flushed = true;
  run();
  EXPECT_TRUE(host_.listener.acks.contains(1));
}

TEST_F(TaskTest, ASinkThatCannotWriteHoldsTheInputBack) {
  start();
  sink_.can_write = false;
  send(0, rows(1, 4, 2));
  inputs_->push(0, Element::of_watermark(1'000'000));
  inputs_->push(0, barrier(1));
  send(0, rows(10, 4, 2));
  run();
  EXPECT_TRUE(sink_.begun.empty());
  EXPECT_TRUE((*inputs_)[0].size_hint() > 0);
  sink_.can_write = true;
  run();
  EXPECT_EQ(sink_.written.size(), 2U);
  EXPECT_TRUE(host_.listener.acks.contains(1));
  EXPECT_EQ((*inputs_)[0].size_hint(), 0U);
}

TEST_F(TaskTest, ATerminalBarrierEndsReadingUntilItIsAborted) {
  start();
  inputs_->push(0, barrier(1, true));
  send(0, rows(1, 4, 2));
  run();
  EXPECT_TRUE(host_.listener.acks.contains(1));
  EXPECT_EQ((*inputs_)[0].size_hint(), 1U);
  task_->post(CheckpointAborted{1, true});
  run();
  EXPECT_EQ((*inputs_)[0].size_hint(), 0U);
}

TEST_F(TaskTest, AnExceptionOfUserCodeFailsTheTaskAndNamesTheOperator) {
  start();
  send(0, rows(-1, 1));
  run();
  ASSERT_EQ(host_.listener.failures.size(), 1U);
  EXPECT_EQ(host_.listener.failures[0], "sum[1/1] (uid sum): user code threw: a negative number");
  EXPECT_EQ(task_->step(), Task::Progress::kDone);
}

TEST_F(TaskTest, AnAbortedCheckpointIsDeclinedWithWhatTheSinksPrepared) {
  start();
  sink_.is_flushed = false;
  inputs_->push(0, barrier(1));
  run();
  task_->post(CheckpointAborted{1, false});
  sink_.is_flushed = true;
  run();
  ASSERT_TRUE(host_.listener.declines.contains(1));
  EXPECT_EQ(host_.listener.declined.at(1).sinks[0].committables.size(), 1U);
}

TEST_F(TaskTest, SeveralCheckpointsAreAcknowledgedInOrder) {
  start();
  for (CheckpointId checkpoint = 1; checkpoint <= 5; ++checkpoint) {
    send(0, rows(checkpoint * 100, 10, 7));
    inputs_->push(0, barrier(checkpoint));
  }
  run();
  EXPECT_EQ(host_.listener.acks.size(), 5U);
  for (const auto& [checkpoint, snapshot] : host_.listener.acks) {
    EXPECT_EQ(snapshot.received[0].sums.count, static_cast<std::uint64_t>(checkpoint) * 10);
  }
}

class TaskOnAFullDisk : public TaskTest {
 protected:
  TaskOnAFullDisk() : TaskTest(&faulty()) {}
  static FaultyFileSystem& faulty() {
    static LocalFileSystem inner;
    static FaultyFileSystem files(inner);
    return files;
  }
};

TEST_F(TaskOnAFullDisk, DeclinesTheCheckpointAndGoesOn) {
  start();
  send(0, rows(1, 5, 2));
  faulty().set_space_left(0);
  inputs_->push(0, barrier(1));
  run();
  ASSERT_TRUE(host_.listener.declines.contains(1));
  EXPECT_EQ(host_.listener.declines.at(1).code, ErrorCode::kNoSpace);
  EXPECT_EQ(host_.listener.declined.at(1).sinks[0].committables.size(), 1U);
  faulty().heal();
  send(0, rows(6, 5, 2));
  inputs_->push(0, barrier(2));
  run();
  EXPECT_TRUE(host_.listener.acks.contains(2));
  EXPECT_TRUE(host_.listener.failures.empty());
}

TEST_F(TaskOnAFullDisk, RecordsWaitWhileTooMuchOfWhatTheyOverwriteIsNotWritten) {
  start(1, keyed_operator<KeepMuch>);
  KeepMuch::rows_seen = 0;
  // Twice what may wait to be written.
  constexpr std::int64_t kKeys = 2048;
  constexpr std::size_t kBatch = 64;
  for (std::int64_t key = 0; key < kKeys; key += kBatch) {
    send(0, rows(key, kBatch, kKeys));
    run();
  }
  std::promise<void> release;
  FileFault slow;
  slow.operation = FileOperation::kCreate;
  slow.meanwhile = [released = release.get_future().share()] { released.wait(); };
  faulty().plan(slow);
  inputs_->push(0, barrier(1));
  for (int step = 0; step < 100; ++step) {
    static_cast<void>(task_->step());
  }
  std::int64_t sent = 0;
  for (; sent < kKeys && KeepMuch::rows_seen == kKeys + sent; sent += kBatch) {
    send(0, rows(sent + 1, kBatch, kKeys));
    for (int step = 0; step < 100; ++step) {
      static_cast<void>(task_->step());
    }
  }
  EXPECT_GT(sent, kKeys / 4);
  EXPECT_LT(sent, kKeys * 3 / 4);
  release.set_value();
  run();
  EXPECT_EQ(KeepMuch::rows_seen, kKeys + sent);
  EXPECT_TRUE(host_.listener.declines.contains(1));
  faulty().heal();
}

}  // namespace
}  // namespace weir::runtime::test
