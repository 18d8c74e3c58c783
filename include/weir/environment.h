#pragma once

#include <memory>
#include <string>
#include <utility>

#include "weir/configuration.h"
#include "weir/data_stream.h"
#include "weir/job_client.h"
#include "weir/job_result.h"
#include "weir/job_status.h"
#include "weir/result.h"
#include "weir/source.h"
#include "weir/stream_graph.h"
#include "weir/watermark_strategy.h"

namespace weir {

/// Flink's StreamExecutionEnvironment: where a pipeline is built and run, inside this process.
///
/// A run starts from the latest checkpoint of its job id if there is one: starting the program
/// again is how it recovers. SIGTERM and SIGINT end it with a final checkpoint.
class Environment {
 public:
  explicit Environment(Configuration configuration = {});

  Configuration& configuration() { return configuration_; }
  /// Watches the job while it runs.
  void set_listener(JobListener listener) { listener_ = std::move(listener); }

  template <class T>
  DataStream<T> from_source(std::shared_ptr<Source> source, const WatermarkStrategy<T>& watermarks,
                            std::string name) {
    WEIR_CHECK_MESSAGE(source->record_type().name == type_ops<T>().name,
                       "from_source() with a watermark strategy of another record type");
    StreamNode node;
    node.kind = "Source";
    node.name = std::move(name);
    node.output = &type_ops<T>();
    node.source = std::move(source);
    node.watermarks = watermarks.spec();
    const int id = graph_->add(std::move(node));
    return DataStream<T>(graph_, DataStream<T>::end_of(id));
  }

  /// Runs the pipeline until its input ends or it is stopped. Errors: what is wrong with the
  /// settings, or why the job failed for good.
  Result<JobResult> execute(const std::string& job_name);

  /// Runs the pipeline on a thread of its own. Errors: what is wrong with the plan or the settings;
  /// why a job failed later is JobClient::wait's to tell. Signals are left to the program.
  Result<JobClient> execute_async(const std::string& job_name);

  /// The plan as text: vertices, chains, edges, uids, parallelism.
  Result<std::string> explain(const std::string& job_name) const;

 private:
  Configuration configuration_;
  std::shared_ptr<StreamGraph> graph_;
  JobListener listener_;
};

}  // namespace weir
