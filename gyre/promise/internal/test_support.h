#pragma once

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/loop/internal/test_support.h>
#include <gyre/promise/promise.h>

// What the tests of promises share. Not installed.

namespace gyre::testing {

/// A loop, and a log of what happened in which order.
class PromiseTest : public ::testing::Test {
 protected:
  /// Runs `body` as a task of the loop, and then the loop to its end.
  template <typename Body>
  void run(Body body) {
    must(loop_.post(std::move(body)));
    must(loop_.run());
  }
  /// Appends to the log.
  auto note(std::string text) {
    return [this, text = std::move(text)] { log_.push_back(text); };
  }
  void says(std::string text) { log_.push_back(std::move(text)); }
  using Lines = std::vector<std::string>;

  std::vector<Error> callback_errors_;
  Loop loop_{{.auto_exit = true,
              .on_callback_error = [this](const Error& error, CallbackKind) { callback_errors_.push_back(error); }}};
  Lines log_;
};

/// Counts how many of it live, also copies that were moved from.
class Counted {
 public:
  explicit Counted(int& live) : live_(&live) { ++live; }
  Counted(const Counted& other) : live_(other.live_) { ++*live_; }
  Counted& operator=(const Counted&) = default;
  ~Counted() { --*live_; }

 private:
  int* live_;
};

inline Error some_error(std::string text = "no") {
  return Error(Errc::not_found, std::move(text));
}

}  // namespace gyre::testing
