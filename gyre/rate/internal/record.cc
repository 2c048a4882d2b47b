#include <algorithm>
#include <memory>

#include <gyre/rate/internal/record.h>

namespace gyre::rate::internal {
namespace {

// exact32 keeps the low 32 bits of the tick of each event, rounded up. Events older than the retention are dropped
// whenever one is recorded, so all are less than 2^31 + 2 ticks before the last, which is known in full.
std::uint32_t tick_of(const Plan& plan, Nanoseconds time) noexcept {
  return static_cast<std::uint32_t>(divide_up(time, plan.tick));
}
Nanoseconds time_of(const Plan& plan, Nanoseconds last, std::uint32_t tick) noexcept {
  const std::uint32_t age = tick_of(plan, last) - tick;
  return times(divide_up(last, plan.tick) - age, plan.tick);
}

// A time that was held at the end of time stays there: how far it would have gone is not known.
Nanoseconds back_from(Nanoseconds time, Nanoseconds span) noexcept {
  return time == std::numeric_limits<Nanoseconds>::max() ? time : minus(time, span);
}

Nanoseconds last_of(const Record& record) noexcept {
  return record.last.load(std::memory_order_relaxed);  // written under the lock, which the caller holds
}

std::uint32_t events(const Plan& plan, const Record& record) noexcept {
  return plan.kept == Kept::exact64 ? record.times.size() : record.numbers.size();
}
Nanoseconds event(const Plan& plan, const Record& record, std::uint32_t index) noexcept {
  return plan.kept == Kept::exact64 ? record.times[index] : time_of(plan, last_of(record), record.numbers[index]);
}

std::uint32_t place_of(const Record& record, Nanoseconds now) noexcept {
  std::uint32_t low = 0;
  std::uint32_t high = record.times.size();
  while (low < high) {
    const std::uint32_t middle = low + (high - low) / 2;
    if (record.times[middle] <= now) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

// The parts of a window that may hold events, oldest first, are newest - count .. newest.
struct Parts {
  const Plan& plan;
  const Plan::Window& window;
  const Ring<std::uint32_t>& numbers;
  Nanoseconds newest;

  Parts(const Plan& from, const Plan::Window& of, const Record& record)
      : plan(from), window(of), numbers(record.numbers), newest(divide_down(last_of(record), of.width)) {}

  std::uint32_t place(Nanoseconds part) const noexcept {
    const Nanoseconds turn = plan.bucket_count + 1;
    return window.at + 1 + static_cast<std::uint32_t>(((part % turn) + turn) % turn);
  }
  std::int64_t sum() const noexcept { return numbers[window.at]; }
  std::int64_t count(Nanoseconds part) const noexcept {
    return part > newest || part < newest - plan.bucket_count ? 0 : numbers[place(part)];
  }
  /// When part `part` is wholly outside of the window.
  Nanoseconds leaves(Nanoseconds part) const noexcept { return times(part + plan.bucket_count + 1, window.width); }
};

}  // namespace

void start_history(const Plan& plan, Record& record) {
  const bool wide = plan.kept == Kept::exact64 || plan.kept == Kept::gcra;
  if (wide) {
    std::construct_at(&record.times);
  } else {
    std::construct_at(&record.numbers);
  }
  try {
    if (plan.kept == Kept::gcra) {
      record.times.assign_zeros(static_cast<std::uint32_t>(plan.windows.size()));
      for (std::uint32_t i = 0; i < record.times.size(); ++i) record.times[i] = kAlways;
    } else if (plan.kept == Kept::buckets) {
      record.numbers.assign_zeros(plan.counters);
    }
  } catch (...) {
    end_history(plan, record);
    throw;
  }
}

void end_history(const Plan& plan, Record& record) noexcept {
  if (plan.kept == Kept::exact64 || plan.kept == Kept::gcra) {
    std::destroy_at(&record.times);
  } else {
    std::destroy_at(&record.numbers);
  }
}

std::size_t history_bytes(const Plan& plan, const Record& record) noexcept {
  return plan.kept == Kept::exact64 || plan.kept == Kept::gcra ? record.times.heap_bytes()
                                                               : record.numbers.heap_bytes();
}

Nanoseconds earliest(const Plan& plan, const Record& record, std::int64_t cost) noexcept {
  Nanoseconds result = kAlways;
  switch (plan.kept) {
    case Kept::nothing:
      break;
    case Kept::one:
      return record.next.load(std::memory_order_relaxed);  // the caller looks at it again when it changes it
    case Kept::exact64:
    case Kept::exact32: {
      const std::int64_t held = events(plan, record);
      for (const Plan::Window& window : plan.windows) {
        const std::int64_t index = held - (window.limit - cost) - 1;
        if (index < 0) break;  // longer windows hold still more
        result = std::max(result, plus(event(plan, record, static_cast<std::uint32_t>(index)), window.duration));
      }
      break;
    }
    case Kept::gcra:
      for (std::uint32_t i = 0; i < plan.windows.size(); ++i) {
        const Plan::Window& window = plan.windows[i];
        result = std::max(result, back_from(record.times[i], times(window.interval, window.burst - cost)));
      }
      break;
    case Kept::buckets:
      for (const Plan::Window& window : plan.windows) {
        const Parts parts(plan, window, record);
        std::int64_t sum = parts.sum();
        for (Nanoseconds part = parts.newest - plan.bucket_count; sum > window.limit - cost; ++part) {
          sum -= parts.count(part);
          result = std::max(result, parts.leaves(part));
        }
      }
      break;
  }
  return result;
}

Nanoseconds earliest_after(const Plan& plan, const Record& record, Nanoseconds now, std::int64_t cost) noexcept {
  Nanoseconds result = kAlways;
  switch (plan.kept) {
    case Kept::nothing:
      break;
    case Kept::one:
      return plus(now, plan.retention);
    case Kept::exact64:
    case Kept::exact32: {
      const std::int64_t held = events(plan, record);
      const std::int64_t place = plan.insert_late ? place_of(record, now) : held;
      // To a tick of exact32 even what is recorded now is rounded up.
      const Nanoseconds recorded = times(divide_up(now, plan.tick), plan.tick);
      for (const Plan::Window& window : plan.windows) {
        const std::int64_t index = held + cost - window.limit;
        if (index < 0) break;
        const Nanoseconds time = index < place          ? event(plan, record, static_cast<std::uint32_t>(index))
                                 : index < place + cost ? recorded
                                                        : event(plan, record, static_cast<std::uint32_t>(index - cost));
        result = std::max(result, plus(time, window.duration));
      }
      break;
    }
    case Kept::gcra:
      for (std::uint32_t i = 0; i < plan.windows.size(); ++i) {
        const Plan::Window& window = plan.windows[i];
        const Nanoseconds full = plus(std::max(record.times[i], now), times(window.interval, cost));
        result = std::max(result, back_from(full, times(window.interval, window.burst - 1)));
      }
      break;
    case Kept::buckets:
      for (const Plan::Window& window : plan.windows) {
        const Parts parts(plan, window, record);
        const Nanoseconds current = divide_down(now, window.width);
        const auto count = [&](Nanoseconds part) { return parts.count(part) + (part == current ? cost : 0); };
        std::int64_t sum = cost;
        if (current - parts.newest <= plan.bucket_count) {
          sum += parts.sum();
          for (Nanoseconds part = parts.newest - plan.bucket_count; part < current - plan.bucket_count; ++part) {
            sum -= parts.count(part);
          }
        }
        for (Nanoseconds part = current - plan.bucket_count; sum > window.limit - 1; ++part) {
          sum -= count(part);
          result = std::max(result, parts.leaves(part));
        }
      }
      break;
  }
  return result;
}

void commit(const Plan& plan, Record& record, Nanoseconds now, std::int64_t cost) {
  const auto count = static_cast<std::uint32_t>(cost);
  switch (plan.kept) {
    case Kept::nothing:
    case Kept::one:
      break;
    case Kept::exact64: {
      auto& kept = record.times;
      const std::uint32_t room = std::min(plan.depth - std::min(plan.depth, kept.size()), count);
      if (kept.size() + room > kept.capacity()) kept.reserve(kept.size() + room);
      for (std::uint32_t i = 0; i < count; ++i) {
        const bool full = kept.size() >= plan.depth;
        if (!plan.insert_late) {
          if (full) kept.pop_front(1);
          kept.push_back(now);
          continue;
        }
        const std::uint32_t place = place_of(record, now);
        if (full && place == 0) continue;  // older than all that matter
        if (full) kept.pop_front(1);
        kept.insert(place - (full ? 1 : 0), now);
      }
      break;
    }
    case Kept::exact32: {
      auto& kept = record.numbers;
      const Nanoseconds last = last_of(record);
      std::uint32_t old = 0;
      if (minus(now, last) >= plan.retention) {
        old = kept.size();
      } else {
        while (old < kept.size() && minus(now, time_of(plan, last, kept[old])) >= plan.retention) ++old;
      }
      const std::uint32_t left = kept.size() - old;
      const std::uint32_t room = std::min(plan.depth - std::min(plan.depth, left), count);
      if (left + room > kept.capacity()) kept.reserve(kept.size() + room);
      kept.pop_front(old);
      for (std::uint32_t i = 0; i < count; ++i) {
        if (kept.size() >= plan.depth) kept.pop_front(1);
        kept.push_back(tick_of(plan, now));
      }
      break;
    }
    case Kept::gcra:
      for (std::uint32_t i = 0; i < plan.windows.size(); ++i) {
        record.times[i] = plus(std::max(record.times[i], now), times(plan.windows[i].interval, cost));
      }
      break;
    case Kept::buckets:
      for (const Plan::Window& window : plan.windows) {
        const Parts parts(plan, window, record);
        const Nanoseconds current = divide_down(now, window.width);
        std::uint32_t& sum = record.numbers[window.at];
        for (Nanoseconds part = std::max(parts.newest + 1, current - plan.bucket_count); part <= current; ++part) {
          std::uint32_t& reused = record.numbers[parts.place(part)];
          sum -= reused;
          reused = 0;
        }
        sum += count;
        record.numbers[parts.place(current)] += count;
      }
      break;
  }
}

void take_back(const Plan& plan, Record& record, Nanoseconds now, std::int64_t cost) noexcept {
  const auto count = static_cast<std::uint32_t>(cost);
  switch (plan.kept) {
    case Kept::nothing:
    case Kept::one:
      break;
    case Kept::exact64:
      if (!plan.insert_late) {
        record.times.pop_back(std::min(count, record.times.size()));
        break;
      }
      for (std::uint32_t i = 0; i < count; ++i) {
        const std::uint32_t place = place_of(record, now);
        if (place > 0 && record.times[place - 1] == now) record.times.erase(place - 1);
      }
      break;
    case Kept::exact32:
      record.numbers.pop_back(std::min(count, record.numbers.size()));
      break;
    case Kept::gcra:
      for (std::uint32_t i = 0; i < plan.windows.size(); ++i) {
        record.times[i] = back_from(record.times[i], times(plan.windows[i].interval, cost));
      }
      break;
    case Kept::buckets:
      for (const Plan::Window& window : plan.windows) {
        const Parts parts(plan, window, record);
        record.numbers[window.at] -= count;
        record.numbers[parts.place(divide_down(now, window.width))] -= count;
      }
      break;
  }
}

std::uint32_t remembered(const Plan& plan, const Record& record) noexcept {
  switch (plan.kept) {
    case Kept::one:
      return record.next.load(std::memory_order_relaxed) == kAlways ? 0 : 1;
    case Kept::exact64:
    case Kept::exact32:
      return events(plan, record);
    default:
      return 0;
  }
}

void reserve_events(const Plan& plan, Record& record, std::uint32_t count) {
  if (plan.kept == Kept::exact64) record.times.reserve(std::min(count, plan.depth));
  if (plan.kept == Kept::exact32) record.numbers.reserve(std::min(count, plan.depth));
}

void carry_over(const Plan& from, const Plan& to, Record& record, Record& room) noexcept {
  const Nanoseconds last = last_of(record);
  room.last.store(last, std::memory_order_relaxed);
  const std::uint32_t held = remembered(from, record);
  switch (to.kept) {
    case Kept::nothing:
      break;
    case Kept::one:
      if (held > 0) {
        const Nanoseconds newest = from.kept == Kept::one
                                       ? minus(record.next.load(std::memory_order_relaxed), from.retention)
                                       : event(from, record, held - 1);
        room.next.store(plus(newest, to.retention), std::memory_order_relaxed);
      } else {
        room.next.store(kAlways, std::memory_order_relaxed);
      }
      break;
    case Kept::exact64:
    case Kept::exact32:
      for (std::uint32_t i = held - std::min(held, to.depth); i < held; ++i) {
        const Nanoseconds time = from.kept == Kept::one
                                     ? minus(record.next.load(std::memory_order_relaxed), from.retention)
                                     : event(from, record, i);
        if (to.kept == Kept::exact64) {
          room.times.push_back(time);
        } else if (minus(last, time) < to.retention) {
          room.numbers.push_back(tick_of(to, time));
        }
      }
      break;
    case Kept::gcra: {
      // The debt of the strictest old window, in events, becomes the debt of each new one.
      std::int64_t debt = 0;
      for (std::uint32_t i = 0; i < from.windows.size(); ++i) {
        if (record.times[i] > last) {
          debt = std::max(debt, divide_up(minus(record.times[i], last), from.windows[i].interval));
        }
      }
      for (std::uint32_t i = 0; i < to.windows.size(); ++i) {
        room.times[i] = debt == 0 ? kAlways : plus(last, times(to.windows[i].interval, debt));
      }
      break;
    }
    case Kept::buckets: {
      if (from.kept == Kept::nothing) break;
      // The longest window has seen everything; what it counted in a part came at the part's end, at the latest.
      const Parts parts(from, from.windows.back(), record);
      for (Nanoseconds part = parts.newest - from.bucket_count; part <= parts.newest; ++part) {
        const auto count = static_cast<std::uint32_t>(parts.count(part));
        const Nanoseconds end = std::min(last, times(part + 1, parts.window.width) - 1);
        for (const Plan::Window& window : to.windows) {
          const Parts fresh(to, window, room);
          const Nanoseconds target = divide_down(end, window.width);
          if (count == 0 || target < fresh.newest - to.bucket_count) continue;
          room.numbers[window.at] += count;
          room.numbers[fresh.place(target)] += count;
        }
      }
      break;
    }
  }
  if (to.kept != Kept::one) room.next.store(earliest(to, room, 1), std::memory_order_relaxed);

  // The room takes the old history away, to be ended under the old plan.
  const bool was_wide = from.kept == Kept::exact64 || from.kept == Kept::gcra;
  const bool is_wide = to.kept == Kept::exact64 || to.kept == Kept::gcra;
  if (was_wide && is_wide) {
    record.times.swap(room.times);
  } else if (!was_wide && !is_wide) {
    record.numbers.swap(room.numbers);
  } else if (was_wide) {
    Ring<std::uint32_t> fresh;
    fresh.swap(room.numbers);
    std::destroy_at(&room.numbers);
    std::construct_at(&room.times);
    room.times.swap(record.times);
    std::destroy_at(&record.times);
    std::construct_at(&record.numbers);
    record.numbers.swap(fresh);
  } else {
    Ring<std::int64_t> fresh;
    fresh.swap(room.times);
    std::destroy_at(&room.times);
    std::construct_at(&room.numbers);
    room.numbers.swap(record.numbers);
    std::destroy_at(&record.numbers);
    std::construct_at(&record.times);
    record.times.swap(fresh);
  }
  record.next.store(room.next.load(std::memory_order_relaxed), std::memory_order_release);
}

}  // namespace gyre::rate::internal
