#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace weir::kafka {

/// A text that may be a secret. It has no stream or format output, prints nowhere by accident, and
/// is wiped when it goes away.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string text) : text_(std::move(text)) {}
  Secret(const Secret&) = default;
  Secret& operator=(const Secret& other) {
    if (this != &other) {
      wipe();
      text_ = other.text_;
    }
    return *this;
  }
  ~Secret() { wipe(); }

  /// The text itself; for handing it to a library, never for a message.
  const std::string& reveal() const { return text_; }
  bool empty() const { return text_.empty(); }

 private:
  void wipe() {
    volatile char* bytes = text_.data();
    for (std::size_t i = 0; i < text_.size(); ++i) {
      bytes[i] = '\0';
    }
  }

  std::string text_;
};

}  // namespace weir::kafka
