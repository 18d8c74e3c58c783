#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "weir/key_group.h"
#include "weir/key_hash.h"
#include "weir/process_function.h"
#include "weir/result.h"
#include "weir/type_ops.h"

namespace weir {

namespace detail {

/// The keyed state of one operator of a snapshot, open for changes.
class EditedOperator {
 public:
  virtual ~EditedOperator() = default;
  virtual OperatorContext& context() = 0;
  /// Visits keys without a namespace that `tables` have entries for, each once.
  using KeyVisitor = std::function<void(const void* key, std::uint32_t hash)>;
  virtual void for_each_key(const std::vector<StateTable*>& tables, const KeyVisitor& visit) = 0;
};

}  // namespace detail

/// The keyed state of one operator, key by key. K: the type of its keys. Lives as long as its
/// SavepointEditor.
template <class K>
class KeyedStateEditor {
 public:
  /// Declares states as KeyedProcessFunction::open() does, by the same names and types. What was
  /// stored as another type is migrated, or refused: see states().status().
  KeyedOpenContext<K>& states() { return shared_->states; }
  /// Sets timers of the current key. Errors: the operator has timers of another type of key.
  Result<TimerService*> timer_service() {
    if (!shared_->has_timers) {
      WEIR_TRY(shared_->timers.open(type_ops<K>()));
      shared_->has_timers = true;
    }
    return &shared_->timers;
  }

  /// The key that the states and timers are of from now on, at the present processing time.
  void set_current_key(K key) {
    shared_->states.update_time();
    shared_->key = std::move(key);
    shared_->current = {&shared_->key, key_hash(shared_->key)};
  }
  const K& current_key() const { return shared_->key; }

  /// Calls visit() with each key in turn as the current one: those that a declared state has
  /// something of. visit() may change and clear states; keys that it adds may be missed.
  template <class F>
  void for_each_key(const F& visit) {
    std::vector<K> keys;
    shared_->op.for_each_key(shared_->states.tables(),
                             [&](const void* key, std::uint32_t /*hash*/) {
                               keys.push_back(*static_cast<const K*>(key));
                             });
    for (K& key : keys) {
      set_current_key(std::move(key));
      visit();
    }
  }

 private:
  friend class SavepointEditor;
  /// State handles point to the current key.
  struct Shared {
    explicit Shared(detail::EditedOperator& edited)
        : op(edited), states(op.context(), current, nullptr), timers(op.context(), current) {}
    detail::EditedOperator& op;
    K key{};
    detail::CurrentKey current{.key = &key, .hash = key_hash(key)};
    KeyedOpenContext<K> states;
    TimerService timers;
    bool has_timers = false;
  };
  explicit KeyedStateEditor(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}

  std::shared_ptr<Shared> shared_;
};

/// Makes savepoints without running their job, from nothing or from another snapshot: to give a new
/// job its first state, to mend or move state. Flink's State Processor API.
///
/// The state of an operator that is edited is in memory as a whole; that of all others is copied.
/// Windows and operator state (lists) are carried along, but cannot be edited.
class SavepointEditor {
 public:
  /// For a job that has no state yet.
  static SavepointEditor create(int max_parallelism = kDefaultMaxParallelism);
  /// Begins with what a checkpoint or savepoint holds, which stays as it is: its directory or its
  /// _metadata file. Errors: it is not there, is damaged, or holds records under way (an unaligned
  /// checkpoint).
  static Result<SavepointEditor> open(const std::string& snapshot);

  ~SavepointEditor();
  SavepointEditor(SavepointEditor&& other) noexcept;
  SavepointEditor& operator=(SavepointEditor&& other) noexcept;

  /// Of operators, sources and sinks, sorted.
  std::vector<std::string> uids() const;

  /// The keyed state of the operator with this uid, which is added if there is none. Errors: the
  /// uid belongs to a source or sink, the state files are damaged.
  template <class K>
    requires Key<K>
  Result<KeyedStateEditor<K>> keyed_state(const std::string& uid) {
    WEIR_ASSIGN(detail::EditedOperator * edited, edit(uid));
    using Editor = KeyedStateEditor<K>;
    auto shared = std::make_shared<typename Editor::Shared>(*edited);
    return Editor(std::move(shared));
  }

  /// Forgets an operator, source or sink with all its state. kNotFound; kInvalidArgument for a sink
  /// with results that are not committed.
  Status remove(const std::string& uid);
  /// kNotFound; kAlreadyExists when `to` is taken.
  Status rename(const std::string& from, const std::string& to);

  /// Writes a savepoint into a new directory in `directory` and returns its path. May be called
  /// again after further changes.
  Result<std::string> write(const std::string& directory);

 private:
  class Core;
  explicit SavepointEditor(std::unique_ptr<Core> core);
  Result<detail::EditedOperator*> edit(const std::string& uid);

  std::unique_ptr<Core> core_;
};

}  // namespace weir
