#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <gyre/base/task.h>
#include <gyre/promise/abort.h>

namespace gyre {

class EventTarget;

/// Something that has happened, as listeners see it. Copies are events of their own. What a listener assigns to an
/// event during its dispatch changes neither its type nor its fate in that dispatch.
class Event {
 public:
  explicit Event(std::string type, bool cancelable = false) : type_(std::move(type)), cancelable_(cancelable) {}
  Event(const Event& other);
  Event& operator=(const Event& other);
  virtual ~Event() = default;

  const std::string& type() const noexcept;
  bool cancelable() const noexcept;
  /// Where it is being dispatched, or was last; null before.
  EventTarget* target() const noexcept;
  /// Asks the one who dispatches not to do what it would do otherwise. No effect unless cancelable.
  void prevent_default() noexcept;
  bool default_prevented() const noexcept;
  /// Sets a flag; there is no tree of targets.
  void stop_propagation() noexcept;
  bool propagation_stopped() const noexcept;
  /// No further listener is called in this dispatch.
  void stop_immediate_propagation() noexcept;
  bool is_being_dispatched() const noexcept { return dispatch_ != nullptr; }

 private:
  friend class EventTarget;

  struct Flags {
    EventTarget* target = nullptr;
    bool default_prevented = false;
    bool propagation_stopped = false;
    bool immediate_stopped = false;
  };
  /// What belongs to a dispatch and not to the event's user.
  struct Dispatch {
    const std::string type;
    const bool cancelable;
    Flags flags;
  };

  Flags& flags() noexcept { return dispatch_ != nullptr ? dispatch_->flags : flags_; }
  const Flags& flags() const noexcept { return dispatch_ != nullptr ? dispatch_->flags : flags_; }

  std::string type_;
  bool cancelable_;
  Flags flags_;
  Dispatch* dispatch_ = nullptr;
};

/// An event with a value. Listeners reach it through `detail_of`.
template <typename T>
class CustomEvent : public Event {
 public:
  CustomEvent(std::string type, T detail, bool cancelable = false)
      : Event(std::move(type), cancelable), detail_(std::move(detail)) {}
  T& detail() noexcept { return detail_; }
  const T& detail() const noexcept { return detail_; }

 private:
  T detail_;
};

/// The value of a custom event; null for another kind of event.
template <typename T>
T* detail_of(Event& event) noexcept {
  auto* const custom = dynamic_cast<CustomEvent<T>*>(&event);
  return custom == nullptr ? nullptr : &custom->detail();
}

struct ListenerOptions {
  /// Removed before it is called, so that it is called once, whoever dispatches at the same time.
  bool once = false;
  /// Removes the listener when it is stopped; `AbortSignal::stop_token` gives one.
  std::stop_token stop = {};
};

/// Calls listeners by the type of an event. Safe on every thread; listeners run on the thread that dispatches. As in
/// the DOM Standard, section 2.7, for a target without parents.
class EventTarget {
 public:
  using Listener = UniqueFunction<void(Event& event)>;

  EventTarget() = default;
  /// With ids that continue after `last_id`.
  explicit EventTarget(std::uint64_t last_id) : last_id_(last_id) {}
  EventTarget(const EventTarget&) = delete;
  EventTarget& operator=(const EventTarget&) = delete;

  /// The listener's id, unique among those of this target; 0 for an empty listener, which is not added. The numbers
  /// begin anew after 2^64 - 1.
  std::uint64_t add(std::string_view type, Listener listener, ListenerOptions options = {});
  /// False if there is no such listener of that type. Once it returns, the listener does not start any more; what it
  /// has captured goes at once, or when it returns if it is running.
  bool remove(std::string_view type, std::uint64_t id);
  /// All listeners of a type, or of every type.
  void remove_all(std::string_view type = {});
  bool has(std::string_view type) const { return count(type) > 0; }
  std::size_t count(std::string_view type) const;

  /// Calls the listeners that are there now, in the order of addition, skipping those that are removed meanwhile. False
  /// if the event is cancelable and its default was prevented. What a listener throws leaves this call, and the rest is
  /// not called. Throws `std::logic_error` for an event that is being dispatched.
  bool dispatch(Event& event);

 private:
  struct Entry;
  struct Remover {
    EventTarget* target;
    std::string type;
    std::uint64_t id;
    void operator()() const { target->remove(type, id); }
  };
  struct TypeHash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  using Entries = std::vector<std::shared_ptr<Entry>>;

  static void detach(Entry& entry, std::vector<Listener>& garbage);

  mutable std::mutex mutex_;
  std::unordered_map<std::string, Entries, TypeHash, std::equal_to<>> entries_;
  std::uint64_t last_id_ = 0;
};

}  // namespace gyre
