#pragma once

#include <cstdint>
#include <string>

#include "weir/key_group.h"

namespace weir::cli {

/// `weir state ...`: looks into the keyed state of a snapshot, by the schema stored with it. Needs
/// neither the job nor its types. Each prints its answer and returns the exit status.

/// One state of one operator.
struct StateAddress {
  std::string snapshot;
  std::string uid;
  std::string state;
};

/// The entries of one key, a line of JSON each; kExitFailed when there is none. `key`: text where
/// keys are strings, else JSON.
int get_state(const StateAddress& address, const std::string& key);

struct ScanOptions {
  std::uint64_t entries_max = 100;
  bool is_json = false;  ///< lines of JSON instead of a table
};
int scan_state(const StateAddress& address, const ScanOptions& options);

struct ExportOptions {
  std::string format;  ///< "jsonl" or "csv"
  std::string file;    ///< to be made; empty = stdout
};
int export_state(const StateAddress& address, const ExportOptions& options);

struct ImportOptions {
  std::string file;        ///< as export writes it; "-" = stdin
  std::string format;      ///< "jsonl" or "csv"; empty: csv by the file's name, else jsonl
  std::string directory;   ///< where the new savepoint's directory is made
  bool replaces = false;   ///< what the state held before is dropped
  std::string key_schema;  ///< of a state that the snapshot does not have
  std::string value_schema;
  bool deletes = false;                          ///< the keys in the file go
  int max_parallelism = kDefaultMaxParallelism;  ///< of a savepoint that is made from nothing
  bool is_json = false;
};
/// Writes a savepoint that has what the snapshot has (`address.snapshot` empty: nothing) and these
/// entries, and prints its path.
int import_state(const StateAddress& address, const ImportOptions& options);

}  // namespace weir::cli
