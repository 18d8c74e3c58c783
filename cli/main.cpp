#include <chrono>
#include <cstdint>
#include <exception>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "base/local_path.h"
#include "checkpoint_commands.h"
#include "compat_command.h"
#include "job_commands.h"
#include "output.h"
#include "state_commands.h"
#include "weir/key_group.h"

namespace weir::cli {
namespace {

/// What the command line is parsed into.
struct Words {
  std::string first;
  std::string second;
  std::vector<std::string> rest;
  std::vector<std::string> fail_on;
  StateAddress address;
  ImportOptions imported;
  std::uint64_t limit = 100;
  bool is_json = false;
  bool has_key_groups = false;
  bool is_drain = false;
  int timeout_s = 0;
  int status = kExitOk;
};

/// Words that name a place may be URIs.
CLI::Validator place() {
  return {[](std::string& word) -> std::string {
            const Result<std::string> path = local_path(word);
            if (!path.ok()) {
              return path.error().message;
            }
            word = path.value();
            return {};
          },
          ""};
}

CLI::App* add_command(CLI::App& group, Words& words, const std::string& name,
                      const std::string& description) {
  CLI::App* command = group.add_subcommand(name, description);
  command->add_flag("--json", words.is_json, "Print one JSON document instead of tables");
  return command;
}

using Run = int (*)(const JobCommand& command);

/// A command that talks to a running job.
CLI::App* add_job_command(CLI::App& group, Words& words, const std::string& name,
                          const std::string& description, Run run) {
  CLI::App* command = add_command(group, words, name, description);
  command
      ->add_option("JOB", words.first,
                   "The job's checkpoint directory, its job id, or its control socket")
      ->required()
      ->transform(place());
  command->add_option("--timeout", words.timeout_s, "Seconds to wait for the job's answer")
      ->check(CLI::Range(1, 86'400));
  command->callback([&words, run] {
    constexpr int timeout_s_default = 600;
    JobCommand job{words.first, words.second, words.is_drain, words.is_json, {}};
    job.timeout = std::chrono::seconds(words.timeout_s > 0 ? words.timeout_s : timeout_s_default);
    words.status = run(job);
  });
  return command;
}

void add_checkpoint_commands(CLI::App& app, Words& words) {
  CLI::App* group = app.add_subcommand("checkpoint", "Look at checkpoints and savepoints on disk");
  group->require_subcommand(1);
  const std::string snapshot = "A checkpoint's or savepoint's directory, or its _metadata file";
  const std::string directory = "A checkpoint directory, or the directory of one job in it";

  CLI::App* list = add_command(*group, words, "list", "What snapshots there are");
  list->add_option("DIR", words.first, directory)->required()->transform(place());
  list->callback([&words] { words.status = list_checkpoints(words.first, words.is_json); });

  CLI::App* describe = add_command(*group, words, "describe", "What is in a snapshot");
  describe->add_option("SNAPSHOT", words.first, snapshot)->required()->transform(place());
  describe->add_flag("--key-groups", words.has_key_groups,
                     "Entries and bytes per key group; reads all state files");
  describe->callback([&words] {
    words.status = describe_snapshot(words.first, {words.has_key_groups, words.is_json});
  });

  CLI::App* verify =
      add_command(*group, words, "verify", "Read every byte back; exit status 1 on damage");
  verify->add_option("SNAPSHOT", words.first, snapshot)->required()->transform(place());
  verify->callback([&words] { words.status = verify_snapshot_at(words.first, words.is_json); });

  CLI::App* diff = add_command(*group, words, "diff", "What changed between two snapshots");
  diff->add_option("A", words.first, snapshot)->required()->transform(place());
  diff->add_option("B", words.second, snapshot)->required()->transform(place());
  diff->callback(
      [&words] { words.status = diff_snapshots(words.first, words.second, words.is_json); });

  add_job_command(*group, words, "trigger", "Take a checkpoint of a running job now",
                  trigger_checkpoint);

  CLI::App* du = add_command(*group, words, "du", "What takes how much space");
  du->add_option("DIR", words.first, directory)->required()->transform(place());
  du->callback([&words] { words.status = measure_storage(words.first, words.is_json); });
}

void add_savepoint_commands(CLI::App& app, Words& words) {
  CLI::App* group = app.add_subcommand("savepoint", "Take savepoints of running jobs, delete them");
  group->require_subcommand(1);
  const std::string directory =
      "Where the savepoint's directory is made; default: execution.checkpointing.savepoint-dir";
  CLI::App* trigger = add_job_command(*group, words, "trigger",
                                      "Take a savepoint and print its path", trigger_savepoint);
  trigger->add_option("DIR", words.second, directory);
  CLI::App* stop =
      add_job_command(*group, words, "stop", "Stop the job with a savepoint and print its path",
                      stop_with_savepoint);
  stop->add_option("DIR", words.second, directory);
  stop->add_flag("--drain", words.is_drain,
                 "End the input for good first: windows and timers fire");
  CLI::App* dispose = add_command(*group, words, "dispose", "Delete a savepoint");
  dispose->add_option("PATH", words.first, "The savepoint's directory, or its _metadata file")
      ->required()
      ->transform(place());
  dispose->callback([&words] { words.status = dispose_savepoint_at(words.first, words.is_json); });
}

void add_job_commands(CLI::App& app, Words& words) {
  CLI::App* group = app.add_subcommand("job", "Look at a running job, or end it");
  group->require_subcommand(1);
  add_job_command(*group, words, "status", "How the job is", show_job_status);
  add_job_command(*group, words, "cancel", "End the job at once, without a further checkpoint",
                  cancel_job);
}

void add_state_name(CLI::App& command, Words& words) {
  command.add_option("UID", words.address.uid, "Of the operator")->required();
  command.add_option("STATE", words.address.state, "Name of the state, or of the timers")
      ->required();
}

/// SNAPSHOT UID STATE
CLI::App* add_state_command(CLI::App& group, Words& words, const std::string& name,
                            const std::string& description) {
  CLI::App* command = group.add_subcommand(name, description);
  command
      ->add_option("SNAPSHOT", words.address.snapshot,
                   "A checkpoint's or savepoint's directory, or its _metadata file")
      ->required()
      ->transform(place());
  add_state_name(*command, words);
  return command;
}

/// What import and create have in common.
void add_entries(CLI::App& command, Words& words) {
  ImportOptions& imported = words.imported;
  command.add_option("FILE", imported.file, "Entries as export writes them; - for stdin")
      ->required();
  command.add_option("DIR", imported.directory, "Where the new savepoint's directory is made")
      ->required()
      ->transform(place());
  command
      .add_option("--format", imported.format,
                  "csv, or jsonl: a line of JSON per entry; default: csv if FILE ends in .csv")
      ->check(CLI::IsMember({"jsonl", "csv"}));
  command.add_flag("--json", imported.is_json, "Print one JSON document");
  command.callback([&words] { words.status = import_state(words.address, words.imported); });
}

void add_state_import(CLI::App& group, Words& words) {
  CLI::App* in = add_state_command(group, words, "import",
                                   "Make a savepoint that has further entries; print its path");
  add_entries(*in, words);
  CLI::Option* const replace =
      in->add_flag("--replace", words.imported.replaces, "Drop what the state held before");
  in->add_flag("--delete", words.imported.deletes,
               "Drop the entries of the keys in FILE, which needs no values")
      ->excludes(replace);
  in->add_option("--key-schema", words.imported.key_schema, "Of a state that is new");
  in->add_option("--value-schema", words.imported.value_schema,
                 "Of a state that is new, if it is not timers");
}

void add_state_create(CLI::App& group, Words& words) {
  CLI::App* create = group.add_subcommand(
      "create", "Make a savepoint from nothing, for a job that has none yet; print its path");
  add_state_name(*create, words);
  add_entries(*create, words);
  create->add_option("--key-schema", words.imported.key_schema, "Of the keys, such as i64")
      ->required();
  create->add_option("--value-schema", words.imported.value_schema,
                     "Of the values, such as struct{count:i64,last:string}; not of timers");
  create->add_option("--max-parallelism", words.imported.max_parallelism, "Of the job, for good")
      ->check(CLI::Range(1, kUpperBoundMaxParallelism))
      ->capture_default_str();
}

void add_state_commands(CLI::App& app, Words& words) {
  CLI::App* group =
      app.add_subcommand("state", "Look into the keyed state of a snapshot, or change it");
  group->require_subcommand(1);

  CLI::App* get = add_state_command(*group, words, "get", "What is kept for one key");
  get->add_option("KEY", words.first, "Text where keys are strings, else JSON")->required();
  get->callback([&words] { words.status = get_state(words.address, words.first); });

  CLI::App* scan = add_state_command(*group, words, "scan", "The first entries");
  scan->add_flag("--json", words.is_json, "Print lines of JSON instead of a table");
  scan->add_option("--limit", words.limit, "Entries at most")->capture_default_str();
  scan->callback(
      [&words] { words.status = scan_state(words.address, {words.limit, words.is_json}); });

  CLI::App* out = add_state_command(*group, words, "export", "All entries, into a file or a pipe");
  out->add_option("--format", words.first, "csv, or jsonl: a line of JSON per entry")
      ->check(CLI::IsMember({"jsonl", "csv"}))
      ->default_val("jsonl");
  out->add_option("-o,--output", words.second, "A new file; default: stdout");
  out->callback(
      [&words] { words.status = export_state(words.address, {words.first, words.second}); });
  add_state_import(*group, words);
  add_state_create(*group, words);
}

void add_compat_command(CLI::App& app, Words& words) {
  CLI::App* compat =
      add_command(app, words, "compat", "Whether a job would start from a snapshot, and with what");
  compat->add_option("SNAPSHOT", words.first, "A checkpoint's or savepoint's directory")
      ->required()
      ->transform(place());
  compat->add_option("JOB", words.second, "The job's program; it is run as far as its execute()")
      ->required();
  compat->add_option("--timeout", words.timeout_s, "Seconds for the job to come to its execute()")
      ->check(CLI::Range(1, 86'400));
  compat
      ->add_option("--fail-on", words.fail_on,
                   "Fits that are a failure (exit status 1) although the job would start: "
                   "dropped,missing,migratable")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"dropped", "missing", "migratable"}));
  compat->footer("What follows JOB is for it: [ARGUMENTS...]");
  compat->prefix_command();
  compat->callback([&words, compat] {
    constexpr int timeout_s_default = 60;
    words.rest = compat->remaining();
    CompatCommand command{words.first, words.second, words.rest, {}, words.fail_on, words.is_json};
    command.timeout =
        std::chrono::seconds(words.timeout_s > 0 ? words.timeout_s : timeout_s_default);
    words.status = compare_job_with_snapshot(command);
  });
}

int run(int argc, char** argv) {
  Words words;
  CLI::App app("weir: looks at checkpoints and savepoints, and talks to running jobs", "weir");
  app.set_version_flag("--version", "weir " WEIR_VERSION);
  app.require_subcommand(1);
  add_checkpoint_commands(app, words);
  add_savepoint_commands(app, words);
  add_job_commands(app, words);
  add_state_commands(app, words);
  add_compat_command(app, words);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (const auto unknown = app.remaining(/*recurse=*/true);
        !unknown.empty() && error.get_name() == "RequiredError") {
      return print_error({ErrorCode::kInvalidArgument,
                          "there is no command '" + unknown.front() + "'; see weir --help"});
    }
    // --help and --version end here too, with exit status 0.
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  return words.status;
}

}  // namespace
}  // namespace weir::cli

int main(int argc, char** argv) {
  try {
    return weir::cli::run(argc, argv);
  } catch (const std::exception& error) {
    return weir::cli::print_error({weir::ErrorCode::kInternal, error.what()});
  }
}
