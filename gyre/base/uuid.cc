#include <cerrno>
#include <cstring>
#include <system_error>

#include <pthread.h>
#include <sys/random.h>

#include <gyre/base/uuid.h>

namespace gyre {
namespace {

// Counts forks, so that a child sees that its copied generator state is its parent's. Not program state: it only
// answers "am I a copy?", a question the operating system poses to the whole process.
int fork_generation = 0;

int current_fork_generation() {
  static const int registered = pthread_atfork(nullptr, nullptr, [] { ++fork_generation; });
  static_cast<void>(registered);
  return fork_generation;
}

class RandomBits {
 public:
  std::uint64_t next() {
    const int generation = current_fork_generation();
    if (used_ == kWords || generation != generation_) {
      refill();
      generation_ = generation;
    }
    return pool_[used_++];
  }

 private:
  static constexpr std::size_t kWords = 32;  // getrandom never returns less than asked for up to 256 bytes

  void refill() {
    while (getrandom(pool_.data(), sizeof(pool_), 0) != static_cast<ssize_t>(sizeof(pool_))) {
      if (errno != EINTR) throw std::system_error(errno, std::system_category(), "getrandom");
    }
    used_ = 0;
  }

  std::array<std::uint64_t, kWords> pool_{};
  std::size_t used_ = kWords;
  int generation_ = -1;
};

// One per thread, so that identifiers need no lock and increase within a thread.
struct Generator {
  RandomBits random;
  std::uint64_t last_tick = 0;  // milliseconds << 12 | fraction

  Uuid next() {
    const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
    const auto nanoseconds =
        static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(since_epoch).count());
    const std::uint64_t milliseconds = nanoseconds / 1'000'000;
    const std::uint64_t fraction = (nanoseconds % 1'000'000) * 4096 / 1'000'000;
    // RFC 9562, 6.2, method 3; counting up when the clock stands still or runs backwards keeps the order.
    const std::uint64_t tick = std::max(milliseconds << 12 | fraction, last_tick + 1);
    last_tick = tick;

    const std::uint64_t high = (tick >> 12) << 16 | 0x7000 | (tick & 0xfff);
    const std::uint64_t low = (random.next() >> 2) | (std::uint64_t{2} << 62);
    std::array<std::uint8_t, 16> bytes;
    for (int i = 0; i < 8; ++i) {
      bytes[i] = static_cast<std::uint8_t>(high >> (56 - 8 * i));
      bytes[8 + i] = static_cast<std::uint8_t>(low >> (56 - 8 * i));
    }
    return Uuid(bytes);
  }
};

constexpr char kDigits[] = "0123456789abcdef";
constexpr bool is_hyphen_position(std::size_t i) {
  return i == 8 || i == 13 || i == 18 || i == 23;
}

int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

Uuid Uuid::v7() {
  thread_local Generator generator;
  return generator.next();
}

std::optional<Uuid> Uuid::parse(std::string_view text) {
  if (text.size() != 36) return std::nullopt;
  std::array<std::uint8_t, 16> bytes{};
  std::size_t nibble = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_hyphen_position(i)) {
      if (text[i] != '-') return std::nullopt;
      continue;
    }
    const int value = digit_value(text[i]);
    if (value < 0) return std::nullopt;
    bytes[nibble / 2] = static_cast<std::uint8_t>(bytes[nibble / 2] << 4 | value);
    ++nibble;
  }
  return Uuid(bytes);
}

std::string Uuid::to_string() const {
  std::string text(36, '-');
  std::size_t nibble = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_hyphen_position(i)) continue;
    const std::uint8_t byte = bytes_[nibble / 2];
    text[i] = kDigits[nibble % 2 == 0 ? byte >> 4 : byte & 0xf];
    ++nibble;
  }
  return text;
}

std::chrono::system_clock::time_point Uuid::time() const {
  std::uint64_t milliseconds = 0;
  for (int i = 0; i < 6; ++i) milliseconds = milliseconds << 8 | bytes_[i];
  return std::chrono::system_clock::time_point(std::chrono::milliseconds(milliseconds));
}

}  // namespace gyre

std::size_t std::hash<gyre::Uuid>::operator()(const gyre::Uuid& uuid) const noexcept {
  std::uint64_t words[2];
  std::memcpy(words, uuid.bytes().data(), sizeof(words));
  return words[0] * 0x9e3779b97f4a7c15u ^ words[1];
}
