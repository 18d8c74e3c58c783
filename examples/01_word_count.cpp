// The shortest whole program: counts words. Every word yields its count so far.

#include <cstdio>
#include <sstream>
#include <string>

#include "generator/elements.h"
#include "print/print_sink.h"
#include "weir/environment.h"

struct WordCount {
  std::string word;
  int count = 0;
};

int main() {
  weir::Environment env;
  env.from_source(weir::generator::from_elements<std::string>({"to be or", "not to be"}),
                  weir::WatermarkStrategy<std::string>::no_watermarks(), "lines")
      .flat_map<WordCount>([](const std::string& line, weir::Collector<WordCount>& out) {
        std::istringstream words(line);
        for (std::string word; words >> word;) {
          out.collect(WordCount{word, 1});
        }
      })
      .key_by(&WordCount::word)
      .reduce([](const WordCount& a, const WordCount& b) {
        return WordCount{a.word, a.count + b.count};
      })
      .sink_to(weir::print::to_stdout<WordCount>());

  const auto result = env.execute("word count");
  if (!result.ok()) {
    std::fprintf(stderr, "%s\n", result.error().message.c_str());
    return 1;
  }
}
