#include <atomic>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <gyre/promise/event_target.h>
#include <gyre/promise/internal/test_support.h>

namespace gyre {
namespace {

class Events : public ::testing::Test {
 protected:
  EventTarget::Listener note(std::string text) {
    return [this, text](Event&) { log_.push_back(text); };
  }
  using Lines = std::vector<std::string>;
  EventTarget target_;
  Lines log_;
};

TEST_F(Events, P90_ListenersRunInOrderAndRemovedOnesDoNot) {
  target_.add("x", note("1"));
  const auto second = target_.add("x", note("2"));
  target_.add("x", note("3"));
  target_.add("y", note("other type"));
  Event event("x");
  EXPECT_TRUE(target_.dispatch(event));
  EXPECT_EQ(event.target(), &target_);
  EXPECT_FALSE(target_.remove("y", second));
  EXPECT_TRUE(target_.remove("x", second));
  EXPECT_FALSE(target_.remove("x", second));
  target_.dispatch(event);
  EXPECT_EQ(log_, (Lines{"1", "2", "3", "1", "3"}));
  EXPECT_EQ(target_.count("x"), 2u);
  target_.remove_all();
  EXPECT_FALSE(target_.has("x"));
  EXPECT_FALSE(target_.has("y"));
}

TEST_F(Events, P90_OnceIsOnceUnderRecursion) {
  target_.add("x",
              [&](Event&) {
                log_.push_back("once");
                Event again("x");
                target_.dispatch(again);
                throw std::runtime_error("also if it fails");
              },
              {.once = true});
  Event event("x");
  EXPECT_THROW(target_.dispatch(event), std::runtime_error);
  EXPECT_FALSE(event.is_being_dispatched());
  target_.dispatch(event);
  EXPECT_EQ(log_, Lines{"once"});
}

TEST_F(Events, P90_OnceIsOnceOnTwoThreads) {
  for (int round = 0; round < 200; ++round) {
    std::atomic<int> calls = 0;
    target_.add("x", [&](Event&) { ++calls; }, {.once = true});
    {
      const auto dispatch = [&] {
        Event event("x");
        target_.dispatch(event);
      };
      std::jthread a(dispatch);
      std::jthread b(dispatch);
    }
    EXPECT_EQ(calls, 1);
  }
}

TEST_F(Events, P90_AddedAndRemovedDuringDispatch) {
  std::uint64_t last = 0;
  target_.add("x",
              [&](Event&) {
                log_.push_back("first");
                target_.add("x", note("added"));
                target_.remove("x", last);
              },
              {.once = true});
  last = target_.add("x", note("removed"));
  Event event("x");
  target_.dispatch(event);
  EXPECT_EQ(log_, Lines{"first"});
  target_.dispatch(event);
  EXPECT_EQ(log_, (Lines{"first", "added"}));
}

TEST_F(Events, P90_StoppingAndPreventing) {
  target_.add("x", [&](Event& event) {
    log_.push_back("first");
    event.prevent_default();
    event.stop_propagation();
  });
  target_.add("x", [&](Event& event) {
    log_.push_back("second");
    event.stop_immediate_propagation();
  });
  target_.add("x", note("third"));
  Event plain("x");
  EXPECT_TRUE(target_.dispatch(plain));
  EXPECT_FALSE(plain.default_prevented());
  Event cancelable("x", true);
  EXPECT_FALSE(target_.dispatch(cancelable));
  EXPECT_TRUE(cancelable.default_prevented());
  EXPECT_EQ(log_, (Lines{"first", "second", "first", "second"}));
  Event nobody("y", true);
  EXPECT_TRUE(target_.dispatch(nobody));
}

TEST_F(Events, P90_TheSameEventCannotBeDispatchedTwiceAtOnceACopyCan) {
  EventTarget other;
  other.add("x", note("copy"));
  target_.add("x", [&](Event& event) {
    EXPECT_THROW(target_.dispatch(event), std::logic_error);
    EXPECT_THROW(other.dispatch(event), std::logic_error);
    Event copy = event;
    other.dispatch(copy);
  });
  Event event("x");
  target_.dispatch(event);
  EXPECT_EQ(log_, Lines{"copy"});
  EXPECT_EQ(event.target(), &target_);
  EXPECT_FALSE(event.is_being_dispatched());
}

TEST_F(Events, P90_IdsBeginAnewAndSkipLiveOnes) {
  EventTarget target(std::numeric_limits<std::uint64_t>::max() - 1);
  EXPECT_EQ(target.add("x", note("a")), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(target.add("x", note("b")), 1u);
  EXPECT_EQ(target.add("x", nullptr), 0u);
  EventTarget around(0);
  EXPECT_EQ(around.add("y", note("live")), 1u);
  EXPECT_EQ(around.add("x", note("next")), 2u);
}

TEST_F(Events, P105_OverwritingTheEventChangesNothingOfItsDispatch) {
  for (const bool fails : {false, true}) {
    EventTarget target;
    target.add("x", [&](Event& event) {
      event.prevent_default();
      event = Event("other", false);
      EXPECT_EQ(event.type(), "x");
      EXPECT_TRUE(event.cancelable());
      if (fails) throw std::runtime_error("listener");
    });
    Event event("x", true);
    if (fails) {
      EXPECT_THROW(target.dispatch(event), std::runtime_error);
    } else {
      EXPECT_FALSE(target.dispatch(event));
    }
    EXPECT_EQ(event.type(), "x");
    EXPECT_EQ(event.target(), &target);
    EXPECT_TRUE(event.default_prevented());
  }
}

TEST_F(Events, P106_ManyDispatchesWhileListenersAreAdded) {
  std::atomic<int> calls = 0;
  for (int i = 0; i < 20; ++i) target_.add("x", [&](Event&) { ++calls; });
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 10; ++i) {
      threads.emplace_back([&] {
        Event event("x");
        target_.dispatch(event);
      });
    }
    for (int i = 0; i < 100; ++i) target_.add("x", [](Event&) {});
  }
  EXPECT_EQ(calls, 200);
}

TEST_F(Events, CustomEventsCarryAValue) {
  target_.add("x", [&](Event& event) {
    ASSERT_NE(detail_of<int>(event), nullptr);
    *detail_of<int>(event) += 1;
    EXPECT_EQ(detail_of<std::string>(event), nullptr);
  });
  CustomEvent<int> event("x", 4);
  target_.dispatch(event);
  EXPECT_EQ(event.detail(), 5);
}

TEST_F(Events, RemovedListenersGiveUpTheirCapturesAtOnce) {
  int live = 0;
  const auto id = target_.add("x", [c = testing::Counted(live)](Event&) {});
  target_.remove("x", id);
  EXPECT_EQ(live, 0);
  std::uint64_t self = 0;
  self = target_.add("x", [&, c = testing::Counted(live)](Event&) {
    target_.remove("x", self);
    EXPECT_EQ(live, 1);  // it is running
  });
  Event event("x");
  target_.dispatch(event);
  EXPECT_EQ(live, 0);
}

TEST_F(Events, AStopTokenRemovesAListener) {
  const AbortController controller;
  target_.add("x", note("never"), {.stop = controller.signal().stop_token()});
  controller.abort();
  EXPECT_FALSE(target_.has("x"));
  EXPECT_EQ(target_.add("x", note("never"), {.stop = controller.signal().stop_token()}), 0u);
}

}  // namespace
}  // namespace gyre
