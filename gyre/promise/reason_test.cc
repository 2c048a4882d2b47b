#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

#include <gyre/promise/internal/test_support.h>
#include <gyre/promise/reason.h>

namespace gyre {
namespace {

TEST(Reason, R30_AnErrorIsItself) {
  const Error error(Errc::timed_out, "late");
  const Reason reason = error;
  EXPECT_EQ(reason.error().correlation_id(), error.correlation_id());
  EXPECT_TRUE(reason.is(std::errc::timed_out));
  EXPECT_EQ(reason.as<std::exception>(), nullptr);
  try {
    reason.rethrow();
  } catch (const ErrorException& e) {
    EXPECT_EQ(e.error().message(), "late");
  }
}

TEST(Reason, R30_P108_MatchedByKindWhateverItHolds) {
  const Reason a = AggregateError({});
  const Reason b = AggregateError({Reason(Errc::broken, "x")});
  EXPECT_NE(a.as<AggregateError>(), nullptr);
  EXPECT_NE(b.as<AggregateError>(), nullptr);
  EXPECT_TRUE(a.is(Errc::all_rejected));
  EXPECT_TRUE(b.is(Errc::broken));
  EXPECT_FALSE(a.is(Errc::timed_out));
  EXPECT_EQ(a.as<std::logic_error>(), nullptr);
}

TEST(Reason, P109_FindsTheOneExceptionBehindOthers) {
  const auto nested = [] {
    try {
      try {
        throw std::system_error(std::make_error_code(std::errc::io_error), "disk");
      } catch (...) {
        std::throw_with_nested(std::runtime_error("handler"));
      }
    } catch (...) {
      return std::current_exception();
    }
  }();
  const Reason reason = AggregateError(
      {Reason(nested), Reason(std::make_exception_ptr(std::string("text"))), Reason(std::exception_ptr())});
  ASSERT_NE(reason.as<std::system_error>(), nullptr);
  EXPECT_EQ(reason.as<std::system_error>()->code(), std::errc::io_error);
  EXPECT_TRUE(reason.is(std::errc::io_error));
  EXPECT_EQ(*reason.as<std::string>(), "text");
  EXPECT_EQ(reason.as<int>(), nullptr);
}

TEST(Reason, ThePointerLivesAsLongAsTheReason) {
  const std::string* text = nullptr;
  Reason kept(std::make_exception_ptr(std::string("kept")));
  {
    const Reason copy = kept;
    text = copy.as<std::string>();
  }
  EXPECT_EQ(*text, "kept");
  EXPECT_EQ(text, kept.as<std::string>());
}

TEST(Reason, R38_WrappingKeepsTheCorrelationId) {
  const Error first(Errc::not_found, "first");
  const Reason reason = AggregateError({Reason(first), Reason(Errc::broken, "second")});
  EXPECT_EQ(reason.error().correlation_id(), first.correlation_id());
}

}  // namespace
}  // namespace gyre
