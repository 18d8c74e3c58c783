#include "graph/planner.h"

#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "weir/data_stream.h"

namespace weir::graph {
namespace {

using ::testing::HasSubstr;
using std::chrono_literals::operator""ms;

struct Click {
  std::int64_t user = 0;
  std::string page;
};
struct Count {
  struct Accumulator {
    std::int64_t count = 0;
  };
  Accumulator create_accumulator() const { return {}; }
  void add(Accumulator& into, const Click&) const { ++into.count; }
  std::int64_t get_result(const Accumulator& from) const { return from.count; }
  void merge(Accumulator& into, const Accumulator& from) const { into.count += from.count; }
};

/// The planner only looks at whether there is a source or sink, never into it.
class NoSource final : public Source {
 public:
  Boundedness boundedness() const override { return Boundedness::kBounded; }
  const TypeOps& record_type() const override { return type_ops<Click>(); }
  Status preflight(const SourceContext&) override { return {}; }
  Result<std::unique_ptr<SplitEnumerator>> create_enumerator(const SourceContext&) override {
    return Error{};
  }
  Result<std::unique_ptr<SplitEnumerator>> restore_enumerator(const SourceContext&,
                                                              const std::string&) override {
    return Error{};
  }
  Result<std::unique_ptr<SourceReader>> create_reader(SourceReaderContext) override {
    return Error{};
  }
};
template <class T>
class NoSink final : public Sink {
 public:
  DeliveryGuarantee guarantee() const override { return DeliveryGuarantee::kNone; }
  const TypeOps& record_type() const override { return type_ops<T>(); }
  Status preflight(const SinkContext&) override { return {}; }
  Result<std::unique_ptr<SinkWriter>> create_writer(SinkWriterContext,
                                                    const std::vector<std::string>&) override {
    return Error{};
  }
  Result<std::unique_ptr<Committer>> create_committer(const SinkContext&) override {
    return Error{};
  }
};

/// A pipeline under construction.
class Pipeline {
 public:
  DataStream<Click> source(std::string name = "clicks") {
    StreamNode node;
    node.kind = "Source";
    node.name = std::move(name);
    node.output = &type_ops<Click>();
    node.source = std::make_shared<NoSource>();
    return {graph_, DataStream<Click>::end_of(graph_->add(std::move(node)))};
  }
  template <class T>
  static DataStreamSink sink(const DataStream<T>& stream) {
    return stream.sink_to(std::make_shared<NoSink<T>>());
  }
  runtime::ExecutionPlan plan(int parallelism = 1) {
    options.default_parallelism = parallelism;
    auto plan = build_plan(*graph_, options);
    EXPECT_TRUE(plan.ok()) << (plan.ok() ? "" : plan.error().message);
    return std::move(plan).value();
  }
  std::string error() {
    const auto plan = build_plan(*graph_, options);
    EXPECT_FALSE(plan.ok());
    return plan.ok() ? "" : plan.error().message;
  }

  PlanOptions options{.job_name = "test"};

 private:
  std::shared_ptr<StreamGraph> graph_ = std::make_shared<StreamGraph>();
};

const auto all = [](const Click&) { return true; };
const auto same = [](const Click& click) { return click; };

std::vector<std::string> vertex_names(const runtime::ExecutionPlan& plan) {
  std::vector<std::string> names;
  for (const runtime::PlanVertex& vertex : plan.vertices) {
    names.push_back(vertex.name);
  }
  return names;
}
using Names = std::vector<std::string>;

TEST(Planner, ChainsWhatAForwardEdgeJoins) {
  Pipeline job;
  Pipeline::sink(job.source().map(same).filter(all));
  const auto plan = job.plan(3);
  EXPECT_EQ(vertex_names(plan), (Names{"clicks -> Map -> Filter -> Sink"}));
  EXPECT_TRUE(plan.edges.empty());
  EXPECT_EQ(plan.vertices[0].parallelism, 3);
  ASSERT_EQ(plan.vertices[0].operators.size(), 4U);
  EXPECT_EQ(plan.vertices[0].operators[0].outputs[0][0].chained_operator, 1);
}

TEST(Planner, CutsTheChainAtAKey) {
  Pipeline job;
  Pipeline::sink(job.source()
                     .map(same)
                     .key_by(&Click::user)
                     .window(TumblingEventTimeWindows::of(10ms))
                     .aggregate(Count())
                     .name("counts"));
  const auto plan = job.plan(2);
  EXPECT_EQ(vertex_names(plan), (Names{"clicks -> Map", "counts -> Sink"}));
  ASSERT_EQ(plan.edges.size(), 1U);
  EXPECT_EQ(plan.edges[0].partitioning, Partitioning::kHash);
  EXPECT_NE(plan.edges[0].key, nullptr);
  EXPECT_TRUE(plan.vertices[1].operators[0].has_keyed_state);
  EXPECT_EQ(plan.vertices[1].input_edges, (std::vector<int>{0}));
}

TEST(Planner, CutsTheChainWhereParallelismChangesAndRebalances) {
  Pipeline job;
  Pipeline::sink(job.source().map(same).set_parallelism(4)).set_parallelism(1);
  const auto plan = job.plan(2);
  EXPECT_EQ(vertex_names(plan), (Names{"clicks", "Map", "Sink"}));
  EXPECT_EQ(plan.edges[0].partitioning, Partitioning::kRebalance);
  EXPECT_EQ(plan.edges[1].partitioning, Partitioning::kRebalance);
  EXPECT_EQ(plan.vertices[1].parallelism, 4);
  EXPECT_EQ(plan.vertices[2].parallelism, 1);
}

TEST(Planner, CutsTheChainAtANamedPartitioning) {
  Pipeline job;
  Pipeline::sink(job.source()
                     .rebalance()
                     .map(same)
                     .rescale()
                     .map(same)
                     .broadcast()
                     .map(same)
                     .global()
                     .map(same)
                     .forward()
                     .map(same));
  const auto plan = job.plan(2);
  ASSERT_EQ(plan.edges.size(), 4U);
  EXPECT_EQ(plan.edges[0].partitioning, Partitioning::kRebalance);
  EXPECT_EQ(plan.edges[1].partitioning, Partitioning::kRescale);
  EXPECT_EQ(plan.edges[2].partitioning, Partitioning::kBroadcast);
  EXPECT_EQ(plan.edges[3].partitioning, Partitioning::kGlobal);
  EXPECT_EQ(plan.vertices.back().name, "Map -> Map -> Sink");  // forward() is chained
}

TEST(Planner, AUnionIsFedByOneEdgePerStreamAndIsNotChained) {
  Pipeline job;
  const auto a = job.source("a");
  const auto b = job.source("b");
  Pipeline::sink(a.union_with(b, a).map(same));
  const auto plan = job.plan();
  EXPECT_EQ(vertex_names(plan), (Names{"a", "b", "Map -> Sink"}));
  ASSERT_EQ(plan.edges.size(), 3U);
  EXPECT_EQ(plan.vertices[2].input_edges, (std::vector<int>{0, 1, 2}));
  EXPECT_EQ(plan.edges[2].from_vertex, 0);
  EXPECT_NE(plan.edges[0].name, plan.edges[2].name);  // edge sums are kept by name
}

TEST(Planner, OneStreamMayFeedSeveralConsumers) {
  Pipeline job;
  const auto source = job.source();
  Pipeline::sink(source.map(same));
  Pipeline::sink(source.filter(all));
  const auto plan = job.plan();
  EXPECT_EQ(vertex_names(plan), (Names{"clicks -> Map -> Sink -> Filter -> Sink"}));
  EXPECT_EQ(plan.vertices[0].operators[0].outputs[0].size(), 2U);
}

TEST(Planner, SideOutputsLeaveThroughTheirOwnOutput) {
  Pipeline job;
  const OutputTag<Click> late("late");
  const auto counts = job.source()
                          .key_by(&Click::user)
                          .window(TumblingEventTimeWindows::of(10ms))
                          .side_output_late_data(late)
                          .aggregate(Count());
  Pipeline::sink(counts);
  Pipeline::sink(counts.side_output(late).rebalance());
  const auto plan = job.plan();
  const runtime::PlanOperator& window = plan.vertices[1].operators[0];
  ASSERT_EQ(window.outputs.size(), 2U);
  EXPECT_EQ(window.outputs[0][0].chained_operator, 1);
  EXPECT_EQ(window.outputs[1][0].edge, 1);
}

TEST(Planner, ForwardBetweenUnequalParallelismIsAnErrorThatNamesTheMend) {
  Pipeline job;
  Pipeline::sink(job.source().forward().map(same).set_parallelism(3));
  EXPECT_THAT(job.error(), HasSubstr("rebalance()"));
}

TEST(Planner, APipelineNeedsASourceAndASink) {
  Pipeline nothing;
  EXPECT_THAT(nothing.error(), HasSubstr("no source"));
  Pipeline no_sink;
  (void)no_sink.source().map(same);
  EXPECT_THAT(no_sink.error(), HasSubstr("no sink"));
}

TEST(Planner, ParallelismStaysBetweenOneAndTheMaximum) {
  Pipeline zero;
  Pipeline::sink(zero.source().map(same).set_parallelism(0));
  EXPECT_THAT(zero.error(), HasSubstr("parallelism 0"));
  Pipeline high;
  Pipeline::sink(high.source().map(same).name("wide").set_parallelism(129));
  EXPECT_THAT(high.error(), HasSubstr("'wide'"));
  Pipeline own_maximum;
  Pipeline::sink(own_maximum.source()
                     .key_by(&Click::user)
                     .reduce([](const Click& a, const Click&) { return a; })
                     .set_parallelism(3)
                     .set_max_parallelism(2));
  EXPECT_THAT(own_maximum.error(), HasSubstr("max parallelism 2"));
}

TEST(Planner, AMaximumOutsideFlinksBoundsIsAnError) {
  for (const int maximum : {0, -1, kUpperBoundMaxParallelism + 1}) {
    Pipeline job;
    Pipeline::sink(job.source()
                       .key_by(&Click::user)
                       .reduce([](const Click& a, const Click&) { return a; })
                       .set_max_parallelism(maximum));
    EXPECT_THAT(job.error(), HasSubstr("max parallelism " + std::to_string(maximum)));
  }
}

TEST(Planner, WindowsThatMakeNoSenseAreReportedWithTheirOperator) {
  Pipeline job;
  Pipeline::sink(job.source()
                     .key_by(&Click::user)
                     .window(SlidingEventTimeWindows::of(10ms, 0ms))
                     .aggregate(Count())
                     .uid("counts"));
  EXPECT_THAT(job.error(), HasSubstr("(uid counts): a window's size and slide"));
}

TEST(Uids, TwoOperatorsCannotShareOne) {
  Pipeline job;
  Pipeline::sink(job.source().uid("x").map(same).uid("x"));
  EXPECT_THAT(job.error(), HasSubstr("the same uid 'x'"));
}

TEST(Uids, AreRequiredWhenTheyAreNotGenerated) {
  Pipeline job;
  job.options.are_uids_generated = false;
  Pipeline::sink(job.source().uid("in").map(same)).uid("out");
  EXPECT_THAT(job.error(), HasSubstr("'Map' has no uid"));
}

TEST(Uids, HoldOnlyCharactersThatAreSafeInFileNames) {
  for (const std::string uid : {"", "a/b", "..\n", "caf\xc3\xa9"}) {
    Pipeline job;
    Pipeline::sink(job.source().uid(uid));
    EXPECT_THAT(job.error(), HasSubstr("a uid consists of"));
  }
}

std::vector<std::string> uids(const runtime::ExecutionPlan& plan) {
  std::vector<std::string> result;
  for (const runtime::PlanVertex& vertex : plan.vertices) {
    for (const runtime::PlanOperator& op : vertex.operators) {
      result.push_back(op.uid);
    }
  }
  return result;
}

TEST(Uids, GeneratedOnesDependOnTheShapeAloneAndAreUnique) {
  const auto build = [](Pipeline& job, const std::string& name) {
    const auto source = job.source();
    Pipeline::sink(source.map(same).name(name));
    Pipeline::sink(source.map(same));
  };
  Pipeline one;
  build(one, "one");
  Pipeline other;
  build(other, "other");
  const auto generated = uids(one.plan(1));
  EXPECT_EQ(generated, uids(other.plan(4)));  // neither names nor parallelism matter
  EXPECT_EQ(std::set<std::string>(generated.begin(), generated.end()).size(), generated.size());
  // Pinned: a release that generates others cannot restore what this one stored.
  EXPECT_EQ(generated[0], "auto-376ca6c0164b3c86");
  EXPECT_EQ(generated[1], "auto-adfc7027751eb812");
}

TEST(Explain, ShowsVerticesOperatorsAndEdges) {
  Pipeline job;
  Pipeline::sink(job.source()
                     .uid("in")
                     .key_by(&Click::user)
                     .reduce([](const Click& a, const Click&) { return a; })
                     .uid("latest"))
      .uid("out");
  EXPECT_EQ(explain(job.plan(2)),
            "job test\n"
            "vertex 0: clicks (parallelism 2, max 128)\n"
            "  clicks [uid in]\n"
            "vertex 1: Reduce -> Sink (parallelism 2, max 128)\n"
            "  Reduce [uid latest] keyed state\n"
            "  Sink [uid out]\n"
            "edge 0: 0 -> 1 hash\n");
}

}  // namespace
}  // namespace weir::graph
