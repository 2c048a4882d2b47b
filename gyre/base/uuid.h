#pragma once

#include <array>
#include <chrono>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace gyre {

/// A 128-bit universally unique identifier (RFC 9562). A plain value: copy it, compare it, use it as a key.
///
/// `Uuid::v7()` makes identifiers that sort by creation time, used as correlation ids of errors and log records.
class Uuid {
 public:
  /// The nil UUID: all bits zero.
  constexpr Uuid() = default;
  constexpr explicit Uuid(const std::array<std::uint8_t, 16>& bytes) : bytes_(bytes) {}

  /// A new version 7 UUID: 48 bits of Unix time in milliseconds, 12 bits of the millisecond's fraction, 62 random
  /// bits. Identifiers made by one thread strictly increase, whatever the wall clock does. Any thread; takes no lock;
  /// safe after `fork`: parent and child do not repeat each other's identifiers.
  static Uuid v7();

  /// Reads the canonical form of 36 characters (either case); `nullopt` for anything else.
  static std::optional<Uuid> parse(std::string_view text);

  /// The canonical lower-case form, `xxxxxxxx-xxxx-7xxx-xxxx-xxxxxxxxxxxx`.
  std::string to_string() const;

  /// The time a version 7 UUID carries, with millisecond precision.
  std::chrono::system_clock::time_point time() const;

  constexpr int version() const { return bytes_[6] >> 4; }
  constexpr bool is_nil() const { return *this == Uuid{}; }
  constexpr const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }

  friend constexpr auto operator<=>(const Uuid&, const Uuid&) = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
};

}  // namespace gyre

template <>
struct std::hash<gyre::Uuid> {
  std::size_t operator()(const gyre::Uuid& uuid) const noexcept;
};
