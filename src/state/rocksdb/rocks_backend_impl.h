#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "state/heap_timer_queue.h"
#include "state/rocksdb/rocks_map_table.h"
#include "state/rocksdb/rocks_memory.h"
#include "state/rocksdb/rocks_restore.h"
#include "state/rocksdb/rocks_snapshot.h"
#include "state/rocksdb/rocks_store.h"
#include "state/rocksdb/rocks_table.h"
#include "state/rocksdb/rocks_timer_layout.h"
#include "state/rocksdb/rocks_timer_queue.h"
#include "state/rocksdb/rocksdb_backend.h"
#include "state/rocksdb/serial_work.h"
#include "state/state_restore.h"

namespace weir::state {

class RocksDbBackend::Impl final : public RocksTableOwner {
 public:
  explicit Impl(Options options);
  ~Impl() override;

  Status open_store();
  Status restore(FileSystem& files, const std::vector<RestoreFrom>& from);
  Status restore_state_files(FileSystem& files, std::vector<RestoreFile> from);
  Result<std::vector<std::string>> finish_restore();
  Result<StateTable*> open_table(StateTableDescriptor descriptor);
  Result<TimerQueue*> open_timers(std::string name, const TypeOps& key);
  Result<MapTable*> open_map(StateTableDescriptor descriptor, MapParts parts);
  Status status() const;

  void start_snapshot(SnapshotOptions options);
  CopyProgress copy_slice(std::size_t entries_max);
  void abandon_snapshot(CheckpointId checkpoint, const Error& reason);
  bool is_copying() const;
  std::size_t memory_bytes() const;
  std::uint64_t entry_count() const;
  const std::string& local_path() const { return store_->path(); }
  void write_all_down();
  Figures figures() const;
  void evict_all();
  Reads reads() const;

 private:
  struct StateRequest {
    StateKind kind;
    StateTableDescriptor declared;  ///< what the operator has, and state files
    StateTableDescriptor table;     ///< what RocksDB has
    RocksLayout layout;
    MapParts parts;  ///< of kMapEntries
  };
  struct OpenState {
    StateTableDescriptor declared;
    std::unique_ptr<RocksTable> table;
    std::unique_ptr<RocksMapTable> map;
    std::unique_ptr<TimerQueue> timers;
    const RocksTimerQueue* timers_by_time = nullptr;  ///< the same, if it is one
    std::int64_t charged_bytes = 0;                   ///< to the memory of the process

    std::size_t memory_bytes() const {
      return table->memory_bytes() +
             (timers_by_time == nullptr ? 0 : timers_by_time->memory_bytes());
    }
  };
  using Id = std::pair<StateKind, std::string>;

  /// A closed epoch on its way down.
  struct Run {
    std::uint32_t epoch = 0;
    std::vector<RocksTablePart> parts;
    std::shared_ptr<RocksSnapshot> snapshot;  ///< null: closed because enough had come together
  };
  /// What I/O threads need, and may still need when the backend is gone.
  struct Shared {
    std::shared_ptr<RocksStore> store;
    std::shared_ptr<RocksMemory> memory;
    std::shared_ptr<RocksDirectory> directory;
    std::function<void(std::function<void()> job)> run;
    Helpers transfers;
    RocksEpochs epochs;
    std::atomic<bool> is_closing{false};
    std::atomic<bool> has_failed{false};
    mutable std::mutex mutex;
    std::optional<Error> failure;

    void fail(Error error);
    Status status() const;
  };
  /// What is left of a run when it is encoded.
  struct Down {
    std::uint32_t epoch = 0;
    struct Part {
      SortedRun run;
      std::vector<RocksStore::Family*> families;
    };
    std::vector<Part> parts;
    std::int64_t bytes = 0;
    std::shared_ptr<RocksSnapshot> snapshot;
    /// Of a savepoint: what there is to write, by state.
    struct State {
      StateSchema schema;
      std::vector<RocksStore::Family*> families;
      RocksLayout layout;
      RocksFilter::ExpiryNow expiry;  ///< what is left out
    };
    std::vector<State> states;
  };
  static void bring_down(const std::shared_ptr<Shared>& shared, Down& down);
  static void store_snapshot(const std::shared_ptr<Shared>& shared, Down& down);

  // RocksTableOwner.
  RocksEpochs& epochs() override { return shared_->epochs; }
  void before_call(RocksTable& table, std::size_t entries, CallKind kind) override;
  std::size_t protected_bytes_max() const override;
  void on_dirty(std::size_t bytes) override { dirty_bytes_ += bytes; }
  RocksTablePart& part_of(const RocksTable& table, std::uint32_t epoch) override;
  [[noreturn]] void fail(Error error) override;

  Result<OpenState*> open_state(StateRequest request);
  Status load_state_files(OpenState& state);
  Status load_timers(OpenState& state);
  Status open_new_store();
  /// Rewrites a state that was stored in another way.
  Status fit(StoredRocksState& stored, const StateRequest& wanted, const StateSchema& schema);
  Status store_carried();
  Error in_operator(const Error& error) const {
    return error.with_context("operator " + options_.owner);
  }

  /// What a table's full snapshots leave out: what has expired by now, if anything.
  RocksFilter::ExpiryNow expiry_of_full_snapshot(const RocksTable& table) const;
  Clock& clock() const { return options_.clock == nullptr ? system_clock() : *options_.clock; }

  void close_epoch(std::shared_ptr<RocksSnapshot> snapshot);
  void encode(std::size_t entries_max);
  void encode_all();
  void hand_down(Run run);
  void make_room(OpenState& state, std::size_t entries, CallKind kind);
  std::size_t excess_of(const OpenState& state) const;
  void give_way();
  void charge(OpenState& state);
  std::size_t dirty_bytes_max() const;

  const Options options_;
  std::shared_ptr<Shared> shared_;
  RocksStore* store_ = nullptr;  ///< shared_->store
  std::shared_ptr<SerialWork> work_;
  std::map<Id, OpenState> states_;
  std::map<const RocksTable*, OpenState*> state_of_table_;
  StoredRocksStates stored_;  ///< not opened
  std::unique_ptr<StateRestore> restore_;
  std::deque<Run> runs_;                                 ///< to be encoded, oldest first
  std::vector<std::weak_ptr<RocksSnapshot>> snapshots_;  ///< that may be under way
  std::size_t dirty_bytes_ = 0;
  Figures figures_;       ///< those that the backend counts itself
  bool is_idle_ = false;  ///< nobody called since the last snapshot began
};

}  // namespace weir::state
