#include <array>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include <gyre/base/task.h>

namespace gyre {
namespace {

struct Counted {
  explicit Counted(int* count) : count_(count) { ++*count_; }
  Counted(const Counted& other) : count_(other.count_) { ++*count_; }
  Counted(Counted&& other) noexcept : count_(other.count_) { ++*count_; }
  ~Counted() { --*count_; }
  int* count_;
};

TEST(Task, RunsSmallAndLargeCallables) {
  int runs = 0;
  Task small = [&runs] { ++runs; };
  std::array<char, 200> ballast{};
  Task large = [&runs, ballast] { runs += 1 + ballast[0]; };
  small();
  large();
  EXPECT_EQ(runs, 2);
}

TEST(Task, FortyEightBytesFitInline) {
  struct Exactly {
    char bytes[48];
    void operator()() {}
  };
  struct OneMore {
    char bytes[49];
    void operator()() {}
  };
  EXPECT_TRUE(Task::fits_inline<Exactly>());
  EXPECT_FALSE(Task::fits_inline<OneMore>());
}

TEST(Task, MovingLeavesTheSourceEmptyAndTheCaptureAlive) {
  int alive = 0;
  {
    Task first = [counted = Counted(&alive)] {};
    Task second = std::move(first);
    EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): the moved-from state is specified
    EXPECT_TRUE(second);
    EXPECT_EQ(alive, 1);
    Task third;
    third = std::move(second);
    EXPECT_EQ(alive, 1);
    third();
  }
  EXPECT_EQ(alive, 0);
}

TEST(Task, LargeCapturesMoveWithoutCopying) {
  int alive = 0;
  {
    std::array<char, 100> ballast{};
    Task first = [counted = Counted(&alive), ballast] { static_cast<void>(ballast); };
    Task second = std::move(first);
    EXPECT_EQ(alive, 1);
    second();
  }
  EXPECT_EQ(alive, 0);
}

TEST(Task, ResetDestroysTheCaptureAtOnce) {
  int alive = 0;
  Task task = [counted = Counted(&alive)] {};
  task.reset();
  EXPECT_EQ(alive, 0);
  EXPECT_FALSE(task);
}

TEST(Task, AssignmentDestroysTheOldCapture) {
  int alive = 0;
  Task task = [counted = Counted(&alive)] {};
  task = [] {};
  EXPECT_EQ(alive, 0);
}

TEST(Task, ACaptureMayResetItsOwnTaskWhileBeingDestroyed) {
  Task task;
  struct Mischief {
    explicit Mischief(Task* owner) : task(owner) {}
    Mischief(Mischief&& other) noexcept : task(std::exchange(other.task, nullptr)) {}
    ~Mischief() {
      if (task != nullptr) task->reset();
    }
    Task* task;
  };
  task = [m = Mischief(&task)] { static_cast<void>(m); };
  task.reset();
  EXPECT_FALSE(task);
}

TEST(Task, HoldsMoveOnlyCaptures) {
  auto number = std::make_unique<int>(41);
  UniqueFunction<int(int)> add = [number = std::move(number)](int more) { return *number + more; };
  EXPECT_EQ(add(1), 42);
}

int seven() {
  return 7;
}

TEST(Task, NullCallablesGiveAnEmptyTask) {
  int (*none)() = nullptr;
  EXPECT_FALSE((UniqueFunction<int()>(none)));
  EXPECT_FALSE((UniqueFunction<int()>(std::function<int()>())));
  EXPECT_FALSE((UniqueFunction<int()>(nullptr)));
  UniqueFunction<int()> real = seven;
  EXPECT_EQ(real(), 7);
}

TEST(Task, PassesReferencesAndResultsThrough) {
  UniqueFunction<std::string&(std::string&)> append = [](std::string& text) -> std::string& { return text += "!"; };
  std::string text = "hey";
  EXPECT_EQ(&append(text), &text);
  EXPECT_EQ(text, "hey!");
}

}  // namespace
}  // namespace gyre
