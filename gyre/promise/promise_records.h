#pragma once

#include <cstdint>
#include <memory>
#include <source_location>
#include <unordered_map>

#include <gyre/loop/ids.h>
#include <gyre/promise/promise_base.h>
#include <gyre/promise/promise_observer.h>

namespace gyre::internal {

/// What is written down of single promises, beside them, if their domain's options ask for it: where they come from,
/// since when they have been pending, and their numbers for an observer.
class PromiseRecords {
 public:
  explicit PromiseRecords(PromiseDomain& domain) : domain_(domain) {}
  PromiseRecords(const PromiseRecords&) = delete;
  PromiseRecords& operator=(const PromiseRecords&) = delete;

  /// A promise is made, and there is an observer.
  void observe(PromiseBase& promise) noexcept;
  /// Has the promise reported if it is pending for too long.
  void watch(PromiseBase& promise) noexcept;
  void set_origin(PromiseBase& promise, const PromiseBase* parent, const std::source_location& where);

  // For promises with a record.
  Reason with_origin(const PromiseBase& promise, Reason reason) const;
  void adopted(const PromiseBase& promise, const PromiseBase& by) noexcept;
  void settled(const PromiseBase& promise) noexcept;
  void changed(const PromiseBase& promise, PromiseTransition transition) noexcept;
  void erase(const PromiseBase& promise) noexcept;

  std::size_t size() const noexcept { return records_.size(); }
  /// Nothing is reported any more.
  void end_watch() noexcept;

 private:
  struct Origin;
  struct Record : Links {  // in the ring of those that are watched
    const PromiseBase* promise = nullptr;
    std::shared_ptr<const Origin> origin;
    TimePoint since;
    std::uint64_t number = 0;  // 0: not observed
  };

  Record& record_of(PromiseBase& promise);
  const Record& at(const PromiseBase& promise) const { return records_.at(&promise); }
  void notify(const Record& record, PromiseEvent event) noexcept;
  void arm();
  void on_timer();
  static std::vector<std::source_location> trace_of(const Record& record);

  PromiseDomain& domain_;
  std::unordered_map<const PromiseBase*, Record> records_;
  Links watched_;  // the longest watched first
  TimerId timer_;
  std::uint64_t observed_ = 0;
  bool notifying_ = false;
};

}  // namespace gyre::internal
