#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/promise/internal/test_support.h>
#include <gyre/promise/promise.h>

// Promises/A+ (https://promisesaplus.com), in its order (R45): each rule for promises that are settled before, right
// after, and long after somebody looks. Rules that only make sense for values without types (2.2.1, 2.2.5, 2.3.3.1 and
// 2.3.3.4) are the compiler's affair here.

namespace gyre {

namespace {

/// A thenable that does what it is told with the resolver.
struct Scripted {
  std::function<void(Resolver<int>)> then;
};

}  // namespace

template <>
struct Thenable<Scripted> {
  using value_type = int;
  static void then(Scripted object, Resolver<int> resolver) { object.then(std::move(resolver)); }
};

namespace {

using testing::must;
using testing::some_error;

enum class When { before, right_after, later };

class APlus : public testing::PromiseTest, public ::testing::WithParamInterface<When> {
 protected:
  using Settle = std::function<void(const Resolver<int>&)>;

  /// Gives `look` a promise that is settled before, right after, or some microtasks after; then runs everything.
  void with_promise(const Settle& settle, const std::function<void(Promise<int>)>& look) {
    run([&] {
      const auto pair = Promise<int>::with_resolver(promises_);
      if (GetParam() == When::before) settle(pair.resolver);
      look(pair.promise);
      if (GetParam() == When::right_after) settle(pair.resolver);
      if (GetParam() == When::later) settle_after(5, [settle, resolver = pair.resolver] { settle(resolver); });
    });
  }
  void with_fulfilled(const std::function<void(Promise<int>)>& look) {
    with_promise([](const Resolver<int>& r) { r.resolve(1); }, look);
  }
  void with_rejected(const std::function<void(Promise<int>)>& look) {
    with_promise([this](const Resolver<int>& r) { r.reject(reason_); }, look);
  }
  void settle_after(int microtasks, std::function<void()> settle) {
    must(loop_.queue_microtask([this, microtasks, settle = std::move(settle)]() mutable {
      if (microtasks == 0) {
        settle();
      } else {
        settle_after(microtasks - 1, std::move(settle));
      }
    }));
  }
  /// Handlers that write down what they get.
  auto notes_value(std::string name) {
    return [this, name](int value) { says(name + " " + std::to_string(value)); };
  }
  auto notes_reason(std::string name) {
    return [this, name](const Reason& reason) { says(name + (reason == reason_ ? " reason" : " another reason")); };
  }

  const Reason reason_{some_error()};
  Promises promises_{loop_, {.on_unhandled_rejection = [](const Reason&) {}}};
};

std::string when(const ::testing::TestParamInfo<When>& test) {
  switch (test.param) {
    case When::before:
      return "Before";
    case When::right_after:
      return "RightAfter";
    default:
      return "Later";
  }
}
INSTANTIATE_TEST_SUITE_P(Settled, APlus, ::testing::Values(When::before, When::right_after, When::later), when);

// --- 2.1: states ---

TEST_P(APlus, R45_2_1_2_AFulfilledPromiseStaysSo) {
  const auto settle = [this](const Resolver<int>& r) {
    r.resolve(1);
    r.resolve(2);
    r.reject(reason_);
  };
  with_promise(settle, [&](const Promise<int>& p) { p.then(notes_value("value"), notes_reason("rejected")); });
  EXPECT_EQ(log_, Lines{"value 1"});
}
TEST_P(APlus, R45_2_1_3_ARejectedPromiseStaysSo) {
  const auto settle = [this](const Resolver<int>& r) {
    r.reject(reason_);
    r.reject(some_error("another"));
    r.resolve(1);
  };
  with_promise(settle, [&](const Promise<int>& p) { p.then(notes_value("value"), notes_reason("rejected")); });
  EXPECT_EQ(log_, Lines{"rejected reason"});
}

// --- 2.2: then ---

TEST_P(APlus, R45_2_2_2_OnFulfilledIsCalledOnceAfterwardsWithTheValue) {
  with_fulfilled([&](const Promise<int>& p) {
    p.then([this, p](int value) {
      EXPECT_TRUE(p.is_fulfilled());
      says("value " + std::to_string(value));
    });
  });
  EXPECT_EQ(log_, Lines{"value 1"});
}
TEST_P(APlus, R45_2_2_3_OnRejectedIsCalledOnceAfterwardsWithTheReason) {
  with_rejected([&](const Promise<int>& p) {
    p.then(nullptr, [this, p](const Reason& reason) {
      EXPECT_TRUE(p.is_rejected());
      EXPECT_EQ(reason, reason_);
      says("reason");
      return 0;
    });
  });
  EXPECT_EQ(log_, Lines{"reason"});
}
TEST_P(APlus, R45_2_2_4_HandlersAreCalledWithACleanStack) {
  with_fulfilled([&](const Promise<int>& p) {
    must(loop_.queue_microtask([&, p] {
      says("caller begins");
      p.then([&, p](int) {
        says("handler begins");
        p.then(notes_value("nested"));
        says("handler ends");
      });
      says("caller ends");
    }));
  });
  EXPECT_EQ(log_, (Lines{"caller begins", "caller ends", "handler begins", "handler ends", "nested 1"}));
}
TEST_P(APlus, R45_2_2_6_HandlersAreCalledInTheOrderOfRegistrationAlsoIfOneThrows) {
  with_fulfilled([&](const Promise<int>& p) {
    p.then([&](int) {
       says("first");
       throw std::runtime_error("x");
     }).ignore_rejection();
    p.then([&, p](int) {
      says("second");
      p.then(notes_value("from within"));
    });
    p.then(notes_value("third"), notes_reason("never"));
  });
  EXPECT_EQ(log_, (Lines{"first", "second", "third 1", "from within 1"}));
}
TEST_P(APlus, R45_2_2_6_HandlersOfARejectionToo) {
  with_rejected([&](const Promise<int>& p) {
    p.then(nullptr, [&]() -> int {
       says("first");
       throw std::runtime_error("x");
     }).ignore_rejection();
    p.then(notes_value("never"), notes_reason("second"));
    p.then(nullptr, [&, p] {
      says("third");
      p.then(notes_value("never"), notes_reason("from within"));
      return 0;
    });
  });
  EXPECT_EQ(log_, (Lines{"first", "second reason", "third", "from within reason"}));
}
TEST_P(APlus, R45_2_2_7_ThenReturnsAPromise) {
  with_fulfilled([&](const Promise<int>& p) {
    const auto next = p.then([](int n) { return n; });
    EXPECT_NE(next, p);
    static_assert(std::is_same_v<std::remove_const_t<decltype(next)>, Promise<int>>);
  });
}
TEST_P(APlus, R45_2_2_7_1_WhatEitherHandlerReturnsResolvesIt) {
  with_fulfilled([&](const Promise<int>& p) { p.then([](int) { return 7; }).then(notes_value("value")); });
  EXPECT_EQ(log_, Lines{"value 7"});
}
TEST_P(APlus, R45_2_2_7_1_WhatTheHandlerOfARejectionReturnsResolvesIt) {
  with_rejected([&](const Promise<int>& p) { p.catch_([] { return 7; }).then(notes_value("value")); });
  EXPECT_EQ(log_, Lines{"value 7"});
}
TEST_P(APlus, R45_2_2_7_2_WhatEitherHandlerThrowsRejectsIt) {
  const auto look = [&](const Promise<int>& p) {
    p.then([](int) -> int { throw std::out_of_range("thrown"); },
           [](const Reason&) -> int { throw std::out_of_range("thrown"); })
        .catch_<std::out_of_range>([&](const std::out_of_range& e) {
          says(e.what());
          return 0;
        });
  };
  with_fulfilled(look);
  EXPECT_EQ(log_, Lines{"thrown"});
}
TEST_P(APlus, R45_2_2_7_2_WhatTheHandlerOfARejectionThrowsRejectsIt) {
  with_rejected([&](const Promise<int>& p) {
    p.catch_([]() -> int {
       throw std::out_of_range("thrown");
     }).catch_<std::out_of_range>([&](const std::out_of_range& e) {
      says(e.what());
      return 0;
    });
  });
  EXPECT_EQ(log_, Lines{"thrown"});
}
TEST_P(APlus, R45_2_2_7_3_WithoutAHandlerTheValueGoesOn) {
  with_fulfilled(
      [&](const Promise<int>& p) { p.then(nullptr, [] { return 0; }).then(nullptr).then(notes_value("value")); });
  EXPECT_EQ(log_, Lines{"value 1"});
}
TEST_P(APlus, R45_2_2_7_4_WithoutAHandlerTheReasonGoesOn) {
  with_rejected([&](const Promise<int>& p) {
    p.then([](int n) { return n; }).then(nullptr).then(notes_value("never"), notes_reason("rejected"));
  });
  EXPECT_EQ(log_, Lines{"rejected reason"});
}

// --- 2.3: the resolution procedure ---

TEST_P(APlus, R45_2_3_1_WithItselfARejection) {
  with_fulfilled([&](const Promise<int>& p) {
    const auto own = std::make_shared<Promise<int>>();
    *own = p.then([own](int) { return *own; });
    own->catch_(Errc::promise_cycle, [&, own](const Error&) {
      says("cycle");
      *own = {};
      return 0;
    });
  });
  EXPECT_EQ(log_, Lines{"cycle"});
}
TEST_P(APlus, R45_2_3_2_APromiseHandsItsStateOver) {
  with_fulfilled([&](const Promise<int>& p) {
    Promise<void>::resolved(promises_).then([p] { return p; }).then(notes_value("value"), notes_reason("never"));
  });
  EXPECT_EQ(log_, Lines{"value 1"});
}
TEST_P(APlus, R45_2_3_2_APromiseThatIsRejectedHandsItsReasonOver) {
  with_rejected([&](const Promise<int>& p) {
    Promise<void>::resolved(promises_).then([p] { return p; }).then(notes_value("never"), notes_reason("rejected"));
  });
  EXPECT_EQ(log_, Lines{"rejected reason"});
}
TEST_P(APlus, R45_2_3_3_3_AThenableResolvesOrRejects) {
  for (const bool fulfils : {true, false}) {
    const Scripted thenable{[this, fulfils](const Resolver<int>& r) {
      const auto settle = [this, fulfils, r] {
        if (fulfils) {
          r.resolve(8);
        } else {
          r.reject(reason_);
        }
      };
      if (GetParam() == When::later) {
        settle_after(3, settle);
      } else {
        settle();
      }
    }};
    must(loop_.post([this, thenable] {
      Promise<void>::resolved(promises_)
          .then([thenable] { return thenable; })
          .then(notes_value("value"), notes_reason("rejected"));
    }));
  }
  must(loop_.run());
  EXPECT_EQ(log_, (Lines{"value 8", "rejected reason"}));
}
TEST_P(APlus, R45_2_3_3_3_1_AThenableThatResolvesWithAPromiseOrAThenable) {
  with_fulfilled([&](const Promise<int>& p) {
    const Scripted with_promise{[p](const Resolver<int>& r) { r.resolve(p); }};
    const Scripted with_thenable{[with_promise](const Resolver<int>& r) { r.resolve(with_promise); }};
    Promise<void>::resolved(promises_).then([with_promise] { return with_promise; }).then(notes_value("promise"));
    Promise<void>::resolved(promises_).then([with_thenable] { return with_thenable; }).then(notes_value("thenable"));
  });
  EXPECT_EQ(log_, (Lines{"promise 1", "thenable 1"}));
}
TEST_P(APlus, R45_2_3_3_3_3_OnlyTheFirstCallOfAThenableCounts) {
  with_rejected([&](const Promise<int>& p) {
    const Scripted fulfils_first{[this](const Resolver<int>& r) {
      r.resolve(1);
      r.resolve(2);
      r.reject(reason_);
    }};
    const Scripted follows_first{[p](const Resolver<int>& r) {
      r.resolve(p);
      r.resolve(2);
    }};
    Promise<void>::resolved(promises_)
        .then([=] { return fulfils_first; })
        .then(notes_value("value"), notes_reason("never"));
    Promise<void>::resolved(promises_)
        .then([=] { return follows_first; })
        .then(notes_value("never"), notes_reason("rejected"));
  });
  EXPECT_EQ(log_, (Lines{"value 1", "rejected reason"}));
}
TEST_P(APlus, R45_2_3_3_3_4_WhatAThenableThrowsRejectsUnlessItHasSettled) {
  with_fulfilled([&](const Promise<int>& p) {
    const auto look = [&](Scripted thenable) {
      Promise<void>::resolved(promises_)
          .then([thenable] { return thenable; })
          .then(notes_value("value"), [&](const Reason& reason) { says(reason.message()); });
    };
    look({[](const Resolver<int>&) { throw std::runtime_error("thrown"); }});
    look({[](const Resolver<int>& r) {
      r.resolve(3);
      throw std::runtime_error("ignored");
    }});
    look({[p](const Resolver<int>& r) {
      r.resolve(p);
      throw std::runtime_error("ignored");
    }});
  });
  EXPECT_EQ(log_, (Lines{"thrown", "value 3", "value 1"}));
}
TEST_P(APlus, R45_2_3_4_AnythingElseIsAValue) {
  with_fulfilled([&](const Promise<int>& p) {
    p.then([](int) { return std::optional<int>(); }).then([&](const std::optional<int>& value) {
      says(value ? "a value" : "nothing in it");
    });
    p.then([this](int) { return reason_.error(); }).then([&](const Error& error) { says("error " + error.message()); });
  });
  EXPECT_EQ(log_, (Lines{"nothing in it", "error no"}));
}

}  // namespace
}  // namespace gyre
