#pragma once

#include <string>
#include <vector>

#include "record/schema.h"
#include "weir/time.h"
#include "weir/type_ops.h"

namespace weir {

/// How values that were stored with one schema become values of another: rewrites their encoded
/// form. Fields are matched by name; they may be added (with the value that a new object has),
/// dropped, reordered and widened (to a larger integer or float that holds every value); what was
/// always there may become optional; a time to live may come and go; and wherever the job has a
/// weir::Migration from the stored type, that is used. Anything else is refused.
class SchemaMigration {
 public:
  /// kInvalidArgument naming the part that does not fit, and why.
  static Result<SchemaMigration> plan(const Schema& stored, const Schema& present,
                                      const TypeEvolution& evolution);

  bool is_identity() const { return changes_.empty(); }
  /// What becomes different, a line each: "price: added", "items[].count: i32 becomes i64".
  const std::vector<std::string>& changes() const { return changes_; }

  /// Rewrites one value, which is all that `in` has left; `now` is the last access of what gets a
  /// time to live. False if it is malformed; what stays the same as a whole is not looked at.
  bool apply(Decoder& in, Encoder& out, TimestampMs now) const;

 private:
  enum class Action {
    kCopy,
    kCopyAll,  ///< the whole value, or all but the time of its last access
    kNumber,
    kStruct,
    kElements,
    kPresent,
    kExpire,
    kUnexpire,
    kExplicit,
  };
  struct Step {
    Action action = Action::kCopy;
    Schema stored;
    Schema present;
    bool (*apply)(Decoder& in, Encoder& out) = nullptr;  ///< of kExplicit
    std::vector<Step> parts;  ///< of a struct by field of `present`, else by part of `stored`
    /// Of each field of a struct: its position in what is stored, or -1 and the bytes it gets.
    std::vector<int> from;
    std::vector<std::string> added;
    /// Of a struct that holds types with Codecs of their own: by stored field that of `present`
    /// whose step tells where it ends, or -1 where its schema does.
    std::vector<int> ended_by;
  };
  class Planner;
  static bool run(const Step& step, Decoder& in, Encoder& out, TimestampMs now);
  static bool reaches_end(const Step& step);
  static bool run_unexpire(const Step& step, Decoder& in, Encoder& out, TimestampMs now);
  static bool run_struct(const Step& step, Decoder& in, Encoder& out, TimestampMs now);
  static bool run_elements(const Step& step, Decoder& in, Encoder& out, TimestampMs now);

  Step root_;
  std::vector<std::string> changes_;
};

}  // namespace weir
