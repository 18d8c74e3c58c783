// Checkpoints and files that hold every result exactly once. Kill it with `kill -9` whenever you
// like and start it again with the same folder: it goes on from its last checkpoint.
//
//   04_exactly_once_files /tmp/numbers; cat /tmp/numbers/out/part-*

#include <cstdint>
#include <cstdio>
#include <string>

#include "file/file_sink.h"
#include "generator/source.h"
#include "weir/config_options.h"
#include "weir/environment.h"

struct Sum {
  std::int64_t last_digit = 0;
  std::int64_t count = 0;
  std::int64_t sum = 0;
};

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s <folder>\n", argv[0]);
    return 2;
  }
  const std::string folder = argv[1];

  weir::Configuration configuration;
  configuration.set(weir::options::kCheckpointInterval, weir::DurationMs(100))
      .set(weir::options::kCheckpointDir, folder + "/checkpoints")
      .set(weir::options::kJobId, "numbers")
      .set(weir::options::kParallelism, 2);

  weir::Environment env(configuration);
  env.from_source(weir::generator::Source<Sum>::from([](std::uint64_t index) {
                    const auto number = static_cast<std::int64_t>(index);
                    return Sum{number % 10, 1, number};
                  })
                      .with_count(10'000)
                      .with_splits(2)
                      .with_rate_limit(10'000)
                      .build(),
                  weir::WatermarkStrategy<Sum>::no_watermarks(), "numbers")
      .uid("numbers")
      .key_by(&Sum::last_digit)
      .reduce([](const Sum& a, const Sum& b) {
        return Sum{a.last_digit, a.count + b.count, a.sum + b.sum};
      })
      .uid("sums")
      .filter([](const Sum& sum) { return sum.count % 250 == 0; })
      .uid("some")
      .sink_to(weir::file::FileSink<Sum>::for_row_format(
                   folder + "/out",
                   [](const Sum& sum, std::string& out) {
                     out += "digit " + std::to_string(sum.last_digit) + ": " +
                            std::to_string(sum.count) + " numbers, sum " + std::to_string(sum.sum);
                   })
                   .build())
      .uid("files");

  const auto result = env.execute("sums");
  if (!result.ok()) {
    std::fprintf(stderr, "%s\n", result.error().message.c_str());
    return 1;
  }
}
