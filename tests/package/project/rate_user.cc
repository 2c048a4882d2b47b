#include <string>

#include <gyre/rate/limiter.h>

int main() {
  using namespace std::chrono_literals;
  const auto rates = gyre::rate::Rates::create({{.duration = 1h, .limit = 1}});
  if (!rates) return 1;
  gyre::rate::Limiter<std::string> limiter(*rates);
  return limiter.allow("key") && !limiter.allow("key") ? 0 : 1;
}
