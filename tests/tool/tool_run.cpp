#include "tool/tool_run.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace weir::tool {
namespace {

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

File scratch_file() { return {std::tmpfile(), &std::fclose}; }

std::string contents_of(std::FILE* file) {
  std::string text;
  std::rewind(file);
  for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) {
    text.push_back(static_cast<char>(c));
  }
  return text;
}

}  // namespace

nlohmann::json ToolRun::json() const {
  auto parsed = nlohmann::json::parse(out, nullptr, /*allow_exceptions=*/false);
  EXPECT_FALSE(parsed.is_discarded()) << "no JSON: " << out << err;
  return parsed;
}

ToolRun run_tool(const std::vector<std::string>& arguments) {
  std::vector<std::string> words{WEIR_TOOL_PATH};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return run_program(std::move(words));
}

ToolRun run_program(std::vector<std::string> words) {
  const File out = scratch_file();
  const File err = scratch_file();
  std::vector<char*> pointers;
  for (std::string& word : words) {
    pointers.push_back(word.data());
  }
  pointers.push_back(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(::fileno(out.get()), STDOUT_FILENO);
    ::dup2(::fileno(err.get()), STDERR_FILENO);
    ::execv(pointers[0], pointers.data());
    ::_exit(127);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  ToolRun run;
  run.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  run.out = contents_of(out.get());
  run.err = contents_of(err.get());
  return run;
}

}  // namespace weir::tool
