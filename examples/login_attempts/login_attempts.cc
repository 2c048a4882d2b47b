// Guards a login against guessing: at most 3 attempts in 10 seconds and 5 in a minute for each user, and not more users
// in memory than one allows, whoever floods it. A correct password gives the attempt back.
//
// The clock is set by hand, so that a minute passes at once and the output is always the same.

#include <array>
#include <cstdio>
#include <string>

#include <gyre/base/clock.h>
#include <gyre/rate/limiter.h>

using namespace std::chrono_literals;

namespace {

struct Attempt {
  gyre::Duration pause;  // after the attempt before
  const char* user;
  bool correct;
};

constexpr std::array kAttempts = {
    Attempt{0s, "eve", false}, Attempt{1s, "eve", false}, Attempt{1s, "eve", false}, Attempt{1s, "eve", false},
    Attempt{0s, "bob", true},  Attempt{1s, "bob", true},  Attempt{1s, "bob", true},  Attempt{1s, "bob", true},
    Attempt{5s, "eve", false}, Attempt{1s, "eve", false}, Attempt{1s, "eve", true},
};

}  // namespace

int main() {
  const auto rates = gyre::rate::Rates::create({{.duration = 10s, .limit = 3}, {.duration = 1min, .limit = 5}});
  if (!rates) {
    std::fprintf(stderr, "%s\n", rates.error().to_string().c_str());
    return 1;
  }
  gyre::ManualClock clock;
  gyre::rate::Limiter<std::string> logins(*rates, {.clock = &clock, .max_categories = 10'000});

  for (const Attempt& attempt : kAttempts) {
    clock.advance(attempt.pause);
    const auto decision = logins.allow(attempt.user);
    if (!decision) {
      std::printf("%s: wait for %lld s\n", attempt.user,
                  static_cast<long long>(std::chrono::ceil<std::chrono::seconds>(decision.wait).count()));
    } else if (attempt.correct) {
      logins.undo(decision.ticket);
      std::printf("%s: welcome\n", attempt.user);
    } else {
      std::printf("%s: wrong password%s\n", attempt.user, decision.next ? ", that was the last try for now" : "");
    }
  }
  const auto statistics = logins.statistics();
  std::printf("accepted %llu, refused %llu, users %zu\n", static_cast<unsigned long long>(statistics.accepted),
              static_cast<unsigned long long>(statistics.rejected), statistics.categories);
}
