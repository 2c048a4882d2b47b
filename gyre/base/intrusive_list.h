#pragma once

#include <cstddef>

namespace gyre {

/// The link that an element of an `IntrusiveList` inherits. An element is in at most one list at a time per hook; it
/// leaves the list by `unlink`, or when it is destroyed.
class ListHook {
 public:
  ListHook() = default;
  ListHook(const ListHook&) = delete;
  ListHook& operator=(const ListHook&) = delete;
  ~ListHook() { unlink(); }

  bool is_linked() const noexcept { return next_ != nullptr; }
  void unlink() noexcept {
    if (!is_linked()) return;
    previous_->next_ = next_;
    next_->previous_ = previous_;
    next_ = previous_ = nullptr;
  }

 private:
  template <typename T>
  friend class IntrusiveList;

  void insert_before(ListHook& position) noexcept {
    previous_ = position.previous_;
    next_ = &position;
    previous_->next_ = this;
    position.previous_ = this;
  }

  ListHook* next_ = nullptr;
  ListHook* previous_ = nullptr;
};

/// A doubly linked list of elements that somebody else owns. Never allocates; every operation but `size` takes constant
/// time. `T` derives from `ListHook`. Elements left in a list when it is destroyed are unlinked, not destroyed.
template <typename T>
class IntrusiveList {
 public:
  IntrusiveList() noexcept { head_.next_ = head_.previous_ = &head_; }
  IntrusiveList(const IntrusiveList&) = delete;
  IntrusiveList& operator=(const IntrusiveList&) = delete;
  ~IntrusiveList() {
    clear();
    head_.next_ = head_.previous_ = nullptr;
  }

  bool empty() const noexcept { return head_.next_ == &head_; }
  T& front() noexcept { return static_cast<T&>(*head_.next_); }
  T& back() noexcept { return static_cast<T&>(*head_.previous_); }
  /// The element must not be in a list.
  void push_back(T& element) noexcept { element.ListHook::insert_before(head_); }
  void push_front(T& element) noexcept { element.ListHook::insert_before(*head_.next_); }
  /// Unlinks and returns the first element; null when empty.
  T* pop_front() noexcept {
    if (empty()) return nullptr;
    T& element = front();
    element.ListHook::unlink();
    return &element;
  }
  void clear() noexcept {
    while (pop_front() != nullptr) {
    }
  }
  /// Moves all elements of `other` to the end of this list, in order.
  void splice_back(IntrusiveList& other) noexcept {
    if (other.empty()) return;
    ListHook* first = other.head_.next_;
    ListHook* last = other.head_.previous_;
    first->previous_ = head_.previous_;
    head_.previous_->next_ = first;
    last->next_ = &head_;
    head_.previous_ = last;
    other.head_.next_ = other.head_.previous_ = &other.head_;
  }
  std::size_t size() const noexcept {
    std::size_t count = 0;
    for (const ListHook* hook = head_.next_; hook != &head_; hook = hook->next_) ++count;
    return count;
  }

  class Iterator {
   public:
    explicit Iterator(ListHook* hook) : hook_(hook) {}
    T& operator*() const { return static_cast<T&>(*hook_); }
    Iterator& operator++() {
      hook_ = hook_->next_;
      return *this;
    }
    friend bool operator==(const Iterator&, const Iterator&) = default;

   private:
    ListHook* hook_;
  };
  Iterator begin() noexcept { return Iterator(head_.next_); }
  Iterator end() noexcept { return Iterator(&head_); }

 private:
  ListHook head_;
};

}  // namespace gyre
