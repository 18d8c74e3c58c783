// Three million real flights, out of order as they happened, through Kafka and back:
//
//   zstd -dc us-flights-2001.csv.zst | flights load BROKERS flights
//   flights run BROKERS BOUND [-D key=value ...]      e.g. BOUND = "3 d" or "2 h"
//   flights dump BROKERS flights-hourly
//
// examples/flights/verify.py does all of it against a broker of its own and compares with SQLite.

#include <iostream>
#include <string>
#include <vector>

#include "pipeline.h"
#include "topics.h"
#include "weir/configuration.h"
#include "weir/environment.h"

namespace {

int run(int argc, char** argv) {
  std::vector<std::string> rest;
  auto configuration = weir::Configuration::from_args(argc, argv, &rest);
  if (!configuration.ok()) {
    std::cerr << "flights: " << configuration.error().message << '\n';
    return 2;
  }
  const auto bound = weir::parse_config_value<weir::DurationMs>(rest.at(2));
  if (!bound.ok()) {
    std::cerr << "flights: " << bound.error().message << '\n';
    return 2;
  }
  weir::Environment env(std::move(configuration).value());
  flights::PipelineOptions options;
  options.brokers = rest.at(1);
  options.bound = bound.value();
  flights::build_pipeline(env, options);
  const auto result = env.execute("flights");
  if (!result.ok()) {
    std::cerr << "flights: " << result.error().message << '\n';
    return 1;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string command = argc < 4 ? "" : argv[1];
  if (command == "load") {
    return flights::load_topic(argv[2], argv[3]);
  }
  if (command == "dump") {
    return flights::dump_topic(argv[2], argv[3]);
  }
  if (command == "run") {
    return run(argc, argv);
  }
  std::cerr << "usage: flights load|dump BROKERS TOPIC | flights run BROKERS BOUND [-D key=value]\n";
  return 2;
}
