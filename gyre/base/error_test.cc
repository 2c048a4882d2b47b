#include <cerrno>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <gyre/base/error.h>

namespace gyre {
namespace {

TEST(Error, CarriesCodeMessageAndCorrelationId) {
  const Error error(Errc::timer_not_found, "timer 7 has fired");
  EXPECT_EQ(error.code(), Errc::timer_not_found);
  EXPECT_STREQ(error.code().category().name(), "gyre");
  EXPECT_EQ(error.message(), "timer 7 has fired");
  EXPECT_EQ(error.correlation_id().version(), 7);
  EXPECT_EQ(error.cause(), nullptr);
}

TEST(Error, EveryCodeHasAText) {
  for (int value = 1; value <= static_cast<int>(Errc::broken); ++value) {
    EXPECT_NE(make_error_code(static_cast<Errc>(value)).message(), "unknown error") << value;
  }
  EXPECT_EQ(make_error_code(static_cast<Errc>(9999)).message(), "unknown error");
}

TEST(Error, MapsToPortableConditions) {
  EXPECT_EQ(make_error_code(Errc::timed_out), std::errc::timed_out);
  EXPECT_EQ(make_error_code(Errc::cancelled), std::errc::operation_canceled);
  EXPECT_NE(make_error_code(Errc::terminated), std::errc::operation_canceled);
}

TEST(Error, ContextIsAddedToACopy) {
  const Error plain(Errc::fd_not_registered, "not watched");
  const Error located = plain.with("fd", 7).with("state", "open");
  EXPECT_TRUE(plain.context().empty());
  EXPECT_THAT(located.context(), testing::ElementsAre(Error::Field{"fd", "7"}, Error::Field{"state", "open"}));
  EXPECT_EQ(located.context("fd"), "7");
  EXPECT_EQ(located.context("missing"), std::nullopt);
  EXPECT_EQ(located.correlation_id(), plain.correlation_id());
}

TEST(Error, WrappingKeepsTheIdAndTheChain) {
  const Error root = Error::from_errno(EBADF, "watch descriptor").with("fd", 9);
  const Error middle = Error(Errc::fd_not_registered, "cannot watch").caused_by(root);
  const Error outer = Error(Errc::callback_failed, "start-up failed").caused_by(middle);
  EXPECT_EQ(outer.correlation_id(), root.correlation_id());
  ASSERT_NE(outer.cause(), nullptr);
  ASSERT_NE(outer.cause()->cause(), nullptr);
  EXPECT_EQ(outer.cause()->cause()->code(), std::errc::bad_file_descriptor);
  EXPECT_TRUE(outer.is(Errc::fd_not_registered));
  EXPECT_TRUE(outer.is(std::errc::bad_file_descriptor));
  EXPECT_FALSE(outer.is(Errc::terminated));
  EXPECT_EQ(outer.context("fd"), "9");
  EXPECT_EQ(outer.to_string(), "start-up failed: cannot watch: watch descriptor: Bad file descriptor [fd=9]");
}

TEST(Error, ASecondCauseGoesToTheEndOfTheChain) {
  const Error error = Error(Errc::broken, "a").caused_by(Error(Errc::broken, "b")).caused_by(Error(Errc::broken, "c"));
  EXPECT_EQ(error.to_string(), "a: b: c");
}

TEST(Error, TemporaryMeansTryAgainLater) {
  for (const int number : {EAGAIN, EINTR, EMFILE, ENFILE, ENOMEM, ENOBUFS, ETIMEDOUT, EBUSY}) {
    EXPECT_TRUE(Error::from_errno(number, "x").is_temporary()) << number;
  }
  for (const int number : {EBADF, EPERM, ENOENT}) EXPECT_FALSE(Error::from_errno(number, "x").is_temporary()) << number;
  EXPECT_TRUE(Error(Errc::backpressure, "x").is_temporary());
  EXPECT_TRUE(Error(Errc::timed_out, "x").is_temporary());
  EXPECT_FALSE(Error(Errc::terminated, "x").is_temporary());
  EXPECT_TRUE(Error(Errc::callback_failed, "x").caused_by(Error::from_errno(EMFILE, "open")).is_temporary());
}

template <typename E>
Error caught(const E& exception) {
  return Error::from_exception(std::make_exception_ptr(exception));
}

TEST(Error, ExceptionsBecomeErrors) {
  EXPECT_EQ(caught(std::runtime_error("boom")).to_string(), "boom");
  EXPECT_EQ(caught(std::runtime_error("boom")).code(), Errc::callback_failed);
  EXPECT_EQ(caught(42).code(), Errc::callback_failed);
  EXPECT_EQ(caught(std::bad_alloc()).code(), Errc::out_of_memory);
  EXPECT_EQ(caught(std::system_error(EMFILE, std::system_category())).code(), std::errc::too_many_files_open);
  EXPECT_EQ(Error::from_exception(nullptr).code(), Errc::callback_failed);

  const Error original(Errc::backpressure, "full");
  EXPECT_EQ(caught(ErrorException(original)).correlation_id(), original.correlation_id());
}

TEST(Error, NestedExceptionsBecomeTheCause) {
  try {
    try {
      throw std::runtime_error("disk gone");
    } catch (...) {
      std::throw_with_nested(std::runtime_error("cannot save"));
    }
  } catch (...) {
    EXPECT_EQ(Error::from_exception(std::current_exception()).to_string(), "cannot save: disk gone");
  }
}

TEST(Error, FailMakesAnUnexpectedResult) {
  const Result<int> result = fail(Errc::invalid_argument, "bad port {}", 70000);
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().message(), "bad port 70000");
}

TEST(Error, IsOnePointerPair) {
  EXPECT_LE(sizeof(Error), 2 * sizeof(void*));
}

}  // namespace
}  // namespace gyre
