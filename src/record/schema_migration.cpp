#include "record/schema_migration.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace weir {
namespace {

using Kind = Schema::Kind;

/// Whether a number of one kind holds every value of the other.
bool widens(const Schema& from, const Schema& to) {
  if (from.kind == to.kind) {
    const bool is_number =
        from.kind == Kind::kSigned || from.kind == Kind::kUnsigned || from.kind == Kind::kFloat;
    return is_number && from.size < to.size;
  }
  return from.kind == Kind::kUnsigned && to.kind == Kind::kSigned && from.size < to.size;
}

bool is_container(Kind kind) {
  return kind == Kind::kArray || kind == Kind::kOptional || kind == Kind::kList ||
         kind == Kind::kSet || kind == Kind::kMap || kind == Kind::kEnum || kind == Kind::kExpiring;
}

const TypeEvolution& part_of(const TypeEvolution& whole, std::size_t i) {
  static const TypeEvolution none;
  return i < whole.parts.size() ? whole.parts[i] : none;
}

std::string joined(const std::string& path, const std::string& name) {
  return path.empty() ? name : path + "." + name;
}
std::string shown(const std::string& path) { return path.empty() ? "the value" : path; }

void put_number(const Schema& from, const Schema& to, std::string_view bytes, Encoder& out) {
  if (to.kind == Kind::kFloat) {
    float value = 0;
    std::memcpy(&value, bytes.data(), sizeof value);
    out.raw(static_cast<double>(value));
    return;
  }
  std::uint64_t value = 0;
  std::memcpy(&value, bytes.data(), bytes.size());
  const bool is_negative =
      from.kind == Kind::kSigned && (static_cast<unsigned char>(bytes.back()) & 0x80) != 0;
  if (is_negative) {
    value |= ~std::uint64_t{0} << (8 * bytes.size() - 1);
  }
  out.bytes(&value, to.size);
}

}  // namespace

class SchemaMigration::Planner {
 public:
  explicit Planner(std::vector<std::string>& changes) : changes_(changes) {}

  /// Of a whole value, whose end is that of its bytes.
  Result<Step> plan_whole(const Schema& stored, const Schema& present,
                          const TypeEvolution& evolution) {
    WEIR_ASSIGN(Step step, plan(stored, present, evolution, ""));
    for (Step* whole = &step; whole != nullptr;) {
      if (whole->action == Action::kCopy) {
        whole->action = Action::kCopyAll;
      }
      whole = is_wrapping(whole->action) ? &whole->parts[0] : nullptr;
    }
    return step;
  }

 private:
  Result<Step> plan(const Schema& stored, const Schema& present, const TypeEvolution& evolution,
                    const std::string& path) {
    Step step;
    step.stored = stored;
    step.present = present;
    if (stored == present) {
      return step;
    }
    for (const detail::ExplicitMigration& migration : evolution.migrations) {
      if (migration.from == stored.to_string()) {
        note(path, "what was " + migration.from + " is migrated by weir::Migration");
        step.action = Action::kExplicit;
        step.apply = migration.apply;
        return step;
      }
    }
    if (widens(stored, present)) {
      note(path, stored.to_string() + " becomes " + present.to_string());
      step.action = Action::kNumber;
      return step;
    }
    if (stored.kind == Kind::kStruct && present.kind == Kind::kStruct) {
      return plan_struct(std::move(step), evolution, path);
    }
    if (stored.kind == present.kind && is_container(stored.kind) && stored.size == present.size) {
      return plan_elements(std::move(step), evolution, path);
    }
    if (present.kind == Kind::kExpiring && stored.kind != Kind::kExpiring) {
      note(path, "gets a time to live");
      return plan_wrapped(std::move(step), Action::kExpire, stored, present.parts[0],
                          part_of(evolution, 0), path);
    }
    if (stored.kind == Kind::kExpiring) {
      note(path, "has no time to live any more");
      return plan_wrapped(std::move(step), Action::kUnexpire, stored.parts[0], present, evolution,
                          path);
    }
    if (present.kind == Kind::kOptional) {
      note(path, "becomes optional");
      return plan_wrapped(std::move(step), Action::kPresent, stored, present.parts[0],
                          part_of(evolution, 0), path);
    }
    return refuse(path, stored.to_string() + " cannot become " + present.to_string());
  }

  void note(const std::string& path, const std::string& what) {
    changes_.push_back(shown(path) + ": " + what);
  }
  static Error refuse(const std::string& path, const std::string& why) {
    return {ErrorCode::kInvalidArgument, shown(path) + ": " + why};
  }

  Result<Step> plan_wrapped(Step step, Action action, const Schema& stored, const Schema& present,
                            const TypeEvolution& evolution, const std::string& path) {
    step.action = action;
    WEIR_ASSIGN(Step part, plan(stored, present, evolution, path));
    step.parts.push_back(std::move(part));
    return step;
  }

  static bool is_wrapping(Action action) {
    return action == Action::kPresent || action == Action::kExpire || action == Action::kUnexpire;
  }

  /// Whether the step notices where what it rewrites ends. Nothing but a type's own Codec knows
  /// where its values do, and of stored types only weir::Migration has that.
  static bool finds_end(const Step& step) {
    switch (step.action) {
      case Action::kCopy:
        return can_be_skipped(step.stored);
      case Action::kCopyAll:
        return false;
      case Action::kNumber:
      case Action::kStruct:  // plan_struct() and plan_elements() have seen to it
      case Action::kElements:
      case Action::kExplicit:
        return true;
      case Action::kPresent:
      case Action::kExpire:
      case Action::kUnexpire:
        return finds_end(step.parts[0]);
    }
    return false;
  }

  Result<Step> plan_struct(Step step, const TypeEvolution& evolution, const std::string& path) {
    step.action = Action::kStruct;
    bool is_reordered = false;
    int last = -1;
    for (std::size_t i = 0; i < step.present.parts.size(); ++i) {
      const std::string& name = step.present.names[i];
      const int from = step.stored.field(name);
      step.from.push_back(from);
      step.added.emplace_back();
      step.parts.emplace_back();
      if (from < 0) {
        note(joined(path, name), "added");
        step.added.back() = part_of(evolution, i).default_value;
        continue;
      }
      is_reordered = is_reordered || from < last;
      last = from;
      WEIR_ASSIGN(step.parts.back(),
                  plan(step.stored.parts[static_cast<std::size_t>(from)], step.present.parts[i],
                       part_of(evolution, i), joined(path, name)));
    }
    for (const std::string& name : step.stored.names) {
      if (step.present.field(name) < 0) {
        note(joined(path, name), "dropped");
      }
    }
    if (is_reordered) {
      note(path, "fields in another order");
    }
    WEIR_TRY(find_ends(step, path));
    return step;
  }

  static Status find_ends(Step& step, const std::string& path) {
    for (std::size_t i = 0; i < step.stored.parts.size(); ++i) {
      step.ended_by.push_back(-1);
      if (can_be_skipped(step.stored.parts[i])) {
        continue;
      }
      const int to = step.present.field(step.stored.names[i]);
      if (to < 0 || !finds_end(step.parts[static_cast<std::size_t>(to)])) {
        return refuse(path, "a field has a Codec of its own, " + step.stored.parts[i].to_string() +
                                ": the fields around it cannot change");
      }
      step.ended_by.back() = to;
    }
    return {};
  }

  Result<Step> plan_elements(Step step, const TypeEvolution& evolution, const std::string& path) {
    step.action = Action::kElements;
    const bool is_many = step.stored.kind != Kind::kEnum && step.stored.kind != Kind::kOptional &&
                         step.stored.kind != Kind::kExpiring;
    for (std::size_t i = 0; i < step.stored.parts.size(); ++i) {
      const bool is_key =
          (step.stored.kind == Kind::kMap && i == 0) || step.stored.kind == Kind::kSet;
      if (is_key && step.stored.parts[i] != step.present.parts[i]) {
        return refuse(path, "the keys' type changes from " + step.stored.parts[i].to_string() +
                                " to " + step.present.parts[i].to_string());
      }
      WEIR_ASSIGN(Step part, plan(step.stored.parts[i], step.present.parts[i],
                                  part_of(evolution, i), is_many ? path + "[]" : path));
      if (!finds_end(part)) {
        return refuse(path, "an element has a Codec of its own, " +
                                step.stored.parts[i].to_string() +
                                ": what is around it cannot change");
      }
      step.parts.push_back(std::move(part));
    }
    return step;
  }

  std::vector<std::string>& changes_;
};

Result<SchemaMigration> SchemaMigration::plan(const Schema& stored, const Schema& present,
                                              const TypeEvolution& evolution) {
  SchemaMigration migration;
  WEIR_ASSIGN(migration.root_, Planner(migration.changes_).plan_whole(stored, present, evolution));
  return migration;
}

bool SchemaMigration::apply(Decoder& in, Encoder& out, TimestampMs now) const {
  return run(root_, in, out, now);
}

/// Whether the step takes all bytes that there are, which only the outermost ones do.
bool SchemaMigration::reaches_end(const Step& step) {
  const bool is_present = step.action == Action::kPresent;
  return step.action == Action::kCopyAll || (is_present && reaches_end(step.parts[0]));
}

bool SchemaMigration::run(const Step& step, Decoder& in, Encoder& out, TimestampMs now) {
  switch (step.action) {
    case Action::kCopy: {
      const std::string_view all = in.rest();
      if (!skip_value(step.stored, in)) {
        return false;
      }
      out.bytes(all.data(), all.size() - in.remaining());
      return true;
    }
    case Action::kCopyAll: {
      const std::string_view all = in.view(in.remaining());
      out.bytes(all.data(), all.size());
      return true;
    }
    case Action::kNumber: {
      const std::string_view bytes = in.view(step.stored.size);
      if (in.ok()) {
        put_number(step.stored, step.present, bytes, out);
      }
      return in.ok();
    }
    case Action::kStruct:
      return run_struct(step, in, out, now);
    case Action::kElements:
      return run_elements(step, in, out, now);
    case Action::kExplicit:
      return step.apply(in, out);
    case Action::kPresent:
      out.raw(std::uint8_t{1});
      return run(step.parts[0], in, out, now);
    case Action::kExpire:
      if (!run(step.parts[0], in, out, now)) {
        return false;
      }
      out.raw(now);
      return true;
    case Action::kUnexpire:
      return run_unexpire(step, in, out, now);
  }
  return false;
}

bool SchemaMigration::run_unexpire(const Step& step, Decoder& in, Encoder& out, TimestampMs now) {
  constexpr std::size_t kTimeBytes = sizeof(TimestampMs);
  if (!reaches_end(step.parts[0])) {
    if (!run(step.parts[0], in, out, now)) {
      return false;
    }
    in.view(kTimeBytes);
    return in.ok();
  }
  if (in.remaining() < kTimeBytes) {
    return false;
  }
  Decoder value(in.view(in.remaining() - kTimeBytes));
  in.view(kTimeBytes);
  return run(step.parts[0], value, out, now) && value.exhausted();
}

bool SchemaMigration::run_struct(const Step& step, Decoder& in, Encoder& out, TimestampMs now) {
  std::vector<std::string_view> fields;
  std::vector<std::string> rewritten(step.parts.size());  // of those that only their steps delimit
  for (std::size_t i = 0; i < step.stored.parts.size(); ++i) {
    const std::string_view all = in.rest();
    if (step.ended_by[i] >= 0) {
      const auto to = static_cast<std::size_t>(step.ended_by[i]);
      Encoder field(rewritten[to]);
      if (!run(step.parts[to], in, field, now)) {
        return false;
      }
    } else if (!skip_value(step.stored.parts[i], in)) {
      return false;
    }
    fields.push_back(all.substr(0, all.size() - in.remaining()));
  }
  for (std::size_t i = 0; i < step.parts.size(); ++i) {
    if (step.from[i] < 0) {
      out.bytes(step.added[i].data(), step.added[i].size());
      continue;
    }
    const auto from = static_cast<std::size_t>(step.from[i]);
    if (step.ended_by[from] >= 0) {
      out.bytes(rewritten[i].data(), rewritten[i].size());
      continue;
    }
    Decoder field(fields[from]);
    if (!run(step.parts[i], field, out, now)) {
      return false;
    }
  }
  return true;
}

bool SchemaMigration::run_elements(const Step& step, Decoder& in, Encoder& out, TimestampMs now) {
  std::size_t count = 1;
  switch (step.stored.kind) {
    case Kind::kArray:
      count = step.stored.size;
      break;
    case Kind::kOptional: {
      const auto flag = in.raw<std::uint8_t>();
      if (!in.ok() || flag > 1) {
        return false;
      }
      out.raw(flag);
      count = flag;
      break;
    }
    case Kind::kList:
    case Kind::kSet:
    case Kind::kMap:
      count = in.count();
      out.varint(count);
      break;
    default:
      break;
  }
  for (std::size_t i = 0; i < count; ++i) {
    for (const Step& part : step.parts) {
      if (!run(part, in, out, now)) {
        return false;
      }
    }
  }
  if (step.stored.kind == Kind::kExpiring) {
    const auto last_access_ms = in.raw<TimestampMs>();
    out.raw(last_access_ms);
  }
  return in.ok();
}

}  // namespace weir
