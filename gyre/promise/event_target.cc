#include <algorithm>
#include <array>
#include <stdexcept>

#include <gyre/promise/event_target.h>

namespace gyre {

// --- Event ---

Event::Event(const Event& other)
    : type_(other.type()), cancelable_(other.cancelable()), flags_{.target = other.target()} {}

// The dispatch, if there is one, goes on with what it has.
Event& Event::operator=(const Event& other) {
  type_ = other.type();
  cancelable_ = other.cancelable();
  return *this;
}

const std::string& Event::type() const noexcept {
  return dispatch_ != nullptr ? dispatch_->type : type_;
}
bool Event::cancelable() const noexcept {
  return dispatch_ != nullptr ? dispatch_->cancelable : cancelable_;
}
EventTarget* Event::target() const noexcept {
  return flags().target;
}
void Event::prevent_default() noexcept {
  if (cancelable()) flags().default_prevented = true;
}
bool Event::default_prevented() const noexcept {
  return flags().default_prevented;
}
void Event::stop_propagation() noexcept {
  flags().propagation_stopped = true;
}
bool Event::propagation_stopped() const noexcept {
  return flags().propagation_stopped;
}
void Event::stop_immediate_propagation() noexcept {
  flags().propagation_stopped = true;
  flags().immediate_stopped = true;
}

// --- EventTarget ---

struct EventTarget::Entry {
  std::uint64_t id;
  bool once;
  bool removed = false;
  int running = 0;
  Listener listener;
  std::optional<std::stop_callback<Remover>> remover;
};

namespace {

template <typename Entries>
bool is_live(const Entries& types, std::uint64_t id) {
  return std::ranges::any_of(types, [id](const auto& type) {
    return std::ranges::any_of(type.second, [id](const auto& entry) { return entry->id == id; });
  });
}

}  // namespace

std::uint64_t EventTarget::add(std::string_view type, Listener listener, ListenerOptions options) {
  if (!listener || options.stop.stop_requested()) return 0;
  const auto entry = std::make_shared<Entry>();
  entry->once = options.once;
  entry->listener = std::move(listener);
  {
    const std::lock_guard lock(mutex_);
    // Only after a whole round can an id be in use.
    const std::uint64_t before = last_id_;
    do {
      ++last_id_;
      if (last_id_ + 1 == before + 1) throw std::logic_error("gyre: all ids of an event target are in use");
    } while (last_id_ == 0 || is_live(entries_, last_id_));
    entry->id = last_id_;
    auto found = entries_.find(type);
    if (found == entries_.end()) found = entries_.emplace(type, Entries()).first;
    found->second.push_back(entry);
  }
  if (options.stop.stop_possible()) entry->remover.emplace(options.stop, Remover{this, std::string(type), entry->id});
  return entry->id;
}

// Under the mutex: what has to be destroyed is, after it was given back.
void EventTarget::detach(Entry& entry, std::vector<Listener>& garbage) {
  entry.removed = true;
  if (entry.running == 0) garbage.push_back(std::move(entry.listener));
}

bool EventTarget::remove(std::string_view type, std::uint64_t id) {
  std::vector<Listener> garbage;
  std::shared_ptr<Entry> removed;  // its stop callback may have to wait for the mutex
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(type);
  if (found == entries_.end()) return false;
  const auto entry = std::ranges::find(found->second, id, [](const auto& e) { return e->id; });
  if (entry == found->second.end()) return false;
  removed = *entry;
  detach(*removed, garbage);
  found->second.erase(entry);
  if (found->second.empty()) entries_.erase(found);
  return true;
}

void EventTarget::remove_all(std::string_view type) {
  std::vector<Listener> garbage;
  Entries removed;
  const std::lock_guard lock(mutex_);
  const auto take = [&](Entries& entries) {
    for (auto& entry : entries) {
      detach(*entry, garbage);
      removed.push_back(std::move(entry));
    }
  };
  if (type.empty()) {
    for (auto& [name, entries] : entries_) take(entries);
    entries_.clear();
  } else if (const auto found = entries_.find(type); found != entries_.end()) {
    take(found->second);
    entries_.erase(found);
  }
}

std::size_t EventTarget::count(std::string_view type) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(type);
  return found == entries_.end() ? 0 : found->second.size();
}

bool EventTarget::dispatch(Event& event) {
  if (event.dispatch_ != nullptr) throw std::logic_error("gyre: an event is dispatched that is being dispatched");
  Event::Dispatch dispatch{event.type_, event.cancelable_, {.target = this}};
  event.dispatch_ = &dispatch;
  struct Finish {
    Event& event;
    Event::Dispatch& dispatch;
    ~Finish() {
      event.type_ = dispatch.type;
      event.cancelable_ = dispatch.cancelable;
      event.flags_ = dispatch.flags;
      event.flags_.immediate_stopped = false;
      event.dispatch_ = nullptr;
    }
  } const finish{event, dispatch};

  // A snapshot, which few events need an allocation for.
  std::array<std::shared_ptr<Entry>, 8> few;
  Entries many;
  std::span<std::shared_ptr<Entry>> snapshot;
  {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(dispatch.type);
    if (found == entries_.end()) return true;
    if (found->second.size() <= few.size()) {
      std::ranges::copy(found->second, few.begin());
      snapshot = std::span(few).first(found->second.size());
    } else {
      many = found->second;
      snapshot = many;
    }
  }
  for (const auto& entry : snapshot) {
    {
      const std::lock_guard lock(mutex_);
      if (entry->removed) continue;
      ++entry->running;
      if (entry->once) {
        entry->removed = true;
        const auto found = entries_.find(dispatch.type);
        std::erase(found->second, entry);
        if (found->second.empty()) entries_.erase(found);
      }
    }
    struct Done {
      EventTarget& target;
      Entry& entry;
      ~Done() {
        Listener garbage;
        const std::lock_guard lock(target.mutex_);
        if (--entry.running == 0 && entry.removed) garbage = std::move(entry.listener);
      }
    } const done{*this, *entry};
    entry->listener(event);
    if (dispatch.flags.immediate_stopped) break;
  }
  return !dispatch.flags.default_prevented;
}

}  // namespace gyre
