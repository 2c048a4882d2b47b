#include <gtest/gtest.h>

#include <gyre/loop/internal/acceptance_history.h>

namespace gyre::internal {
namespace {

using namespace std::chrono_literals;

class AcceptanceHistoryOf : public ::testing::Test {
 protected:
  // At a moment of the test's, everything up to it is shown.
  void at(Duration moment, std::uint64_t accepted, std::uint64_t refused) {
    history.show(TimePoint(1h) + moment, accepted, refused);
  }
  AcceptanceHistory history;
};

TEST_F(AcceptanceHistoryOf, NothingIsAllAccepted) {
  at(0s, 0, 0);
  EXPECT_EQ(history.share(1s), 1);
  EXPECT_EQ(history.share(60s), 1);
}

TEST_F(AcceptanceHistoryOf, EachSpanForgetsWhatIsOlder) {  // REQ_ADM_5
  at(0s, 0, 0);
  at(100ms, 10, 0);  // ten accepted in the first step
  at(5s, 10, 0);
  at(5100ms, 10, 30);  // thirty refused at 5 s
  EXPECT_EQ(history.share(1s), 0);
  EXPECT_EQ(history.share(10s), 0.25);
  EXPECT_EQ(history.share(60s), 0.25);
  at(7s, 10, 30);
  EXPECT_EQ(history.share(1s), 1) << "nothing came in that second";
  EXPECT_EQ(history.share(10s), 0.25);
  at(30s, 20, 30);
  EXPECT_EQ(history.share(10s), 1);
  EXPECT_EQ(history.share(60s), 0.4);
  at(65s, 20, 30);
  EXPECT_EQ(history.share(60s), 1) << "what is left are the ten of before 30 s";
  at(1h, 20, 30);
  EXPECT_EQ(history.share(60s), 1);
}

TEST_F(AcceptanceHistoryOf, WhatIsShownLateCountsWhereItWasLastShown) {
  at(0s, 0, 0);
  at(59s, 5, 5);
  EXPECT_EQ(history.share(1s), 1);
  EXPECT_EQ(history.share(60s), 0.5);
}

TEST_F(AcceptanceHistoryOf, AClockThatGoesBackwardsLosesNothing) {
  at(10s, 0, 0);
  at(10s, 1, 1);
  at(2s, 1, 4);
  EXPECT_EQ(history.share(1s), 0.2);
}

TEST_F(AcceptanceHistoryOf, ATotalThatShrinksAndGrowsAgainIsCountedOnce) {
  at(0s, 0, 0);
  at(0s, 10, 10);
  at(0s, 8, 10);
  at(0s, 10, 10);
  EXPECT_EQ(history.share(1s), 0.5);
  history.reset(TimePoint(1h), 10, 10);
  EXPECT_EQ(history.share(60s), 1);
  at(1s, 11, 11);
  EXPECT_EQ(history.share(60s), 0.5);
}

}  // namespace
}  // namespace gyre::internal
