#pragma once

#include "recovery/scenario.h"

/// Jobs whose state changes its type between two runs.
namespace weir::recovery {

// Outside an unnamed namespace: clang warns of reflected types that have internal linkage.
namespace schema_test {
struct Old {
  std::int32_t count = 0;
  std::string unused = "x";
};
struct New {
  std::string last = "none";
  std::int64_t count = 0;
};
}  // namespace schema_test

class SchemaTest : public RecoveryTest {
 protected:
  SchemaTest() { source_.count = 12'000; }

  template <class Function>
  Result<JobResult> run(Function function, Bomb bomb, bool is_incremental = false,
                        int parallelism = 2) const {
    Configuration settings = configuration(parallelism, 0);
    settings.set(options::kIncrementalCheckpoints, is_incremental);
    Environment environment(settings);
    events(environment)
        .map(std::move(bomb))
        .uid("bomb")
        .key_by(&Event::key)
        .process(std::move(function))
        .uid("count")
        .sink_to(std::make_shared<MemorySink<Counted>>(counts_))
        .uid("counts");
    return environment.execute("recovery");
  }
};

}  // namespace weir::recovery
