#pragma once

#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "print/format.h"
#include "weir/sink.h"

namespace weir::print {

namespace detail {

/// Appends the text of one row, without a line end.
using FormatRow = std::function<void(const Batch& batch, std::size_t row, std::string& out)>;

std::shared_ptr<Sink> make_print_sink(const TypeOps& type, FormatRow format, std::FILE* stream);

}  // namespace detail

/// Flink's print(): each record is a line of standard output, at least once, at the latest when a
/// checkpoint completes or the input ends. With several subtasks a line begins with the number of
/// its subtask, "2> ". For examples and debugging: a stream that is not read holds up the job.
///
///   stream.sink_to(print::to_stdout<WordCount>());
template <class T>
std::shared_ptr<Sink> to_stdout(std::FILE* stream = stdout) {
  return detail::make_print_sink(
      type_ops<T>(),
      [](const Batch& batch, std::size_t row, std::string& out) {
        append_text(out, batch.records<T>()[row]);
      },
      stream);
}

/// With a function void(const T& record, std::string& out) that appends the line.
template <class T, class Format>
  requires std::is_invocable_v<const Format&, const T&, std::string&>
std::shared_ptr<Sink> to_stdout(Format format, std::FILE* stream = stdout) {
  return detail::make_print_sink(
      type_ops<T>(),
      [format = std::move(format)](const Batch& batch, std::size_t row, std::string& out) {
        format(batch.records<T>()[row], out);
      },
      stream);
}

}  // namespace weir::print
