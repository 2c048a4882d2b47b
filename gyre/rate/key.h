#pragma once

#include <concepts>
#include <cstdint>
#include <cstring>
#include <functional>
#include <source_location>
#include <string>
#include <string_view>
#include <type_traits>

namespace gyre::rate {

/// Building blocks for hashes that an outsider cannot steer: the seed is a secret of each limiter.
namespace hashing {

/// Multiplies to 128 bits and folds the halves: every bit of the result depends on every bit of both.
constexpr std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept {
  __extension__ using Wide = unsigned __int128;
  const Wide product = Wide(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

inline constexpr std::uint64_t kOdd1 = 0xD1B54A32D192ED03;
inline constexpr std::uint64_t kOdd2 = 0x8CB92BA72F3D8DD7;

/// Different numbers have different hashes, so that comparing hashes compares numbers.
constexpr std::uint64_t of_word(std::uint64_t value, std::uint64_t seed) noexcept {
  // Each step can be undone: exclusive or, multiplication by an odd number, and a shift folded in.
  value = (value ^ seed) * kOdd1;
  value = ((value ^ (value >> 32)) + (seed << 32 | seed >> 32)) * kOdd2;
  value = (value ^ (value >> 29)) * kOdd1;
  return value ^ (value >> 32);
}

constexpr std::uint64_t of_number(std::uint64_t value, std::uint64_t seed) noexcept {
  return mix(mix(value ^ seed, kOdd1) ^ (seed >> 32), kOdd2 ^ seed);
}

inline std::uint64_t of_bytes(const char* data, std::size_t size, std::uint64_t seed) noexcept {
  std::uint64_t hash = mix(size ^ seed, kOdd1);
  const auto take = [&](std::size_t at, std::size_t count) {
    std::uint64_t word = 0;
    std::memcpy(&word, data + at, count);
    return word;
  };
  std::size_t at = 0;
  for (; at + 8 <= size; at += 8) hash = mix(hash ^ take(at, 8), kOdd2 ^ seed);
  if (at < size) hash = mix(hash ^ take(at, size - at), kOdd2 ^ seed);
  return mix(hash, kOdd1 ^ seed);
}

}  // namespace hashing

/// How a limiter hashes, compares and stores keys of type `Key`. Works for whatever has `std::hash` and `==`;
/// specialise it for others, or to look up without making a key (`View`).
template <typename Key>
struct KeyTraits {
  /// What callers hand in; cheap to make.
  using View = const Key&;
  /// Whether different keys always have different hashes. Then keys need not be compared. Optional.
  static constexpr bool kHashIdentifies = std::is_integral_v<Key> || std::is_enum_v<Key>;
  static std::uint64_t hash(const Key& key, std::uint64_t seed) {
    if constexpr (kHashIdentifies) {
      return hashing::of_word(static_cast<std::uint64_t>(key), seed);
    } else {
      return hashing::of_number(std::hash<Key>()(key), seed);
    }
  }
  static bool equal(const Key& stored, const Key& key) { return stored == key; }
  static Key make(const Key& key) { return key; }
};

/// Looked up as `std::string_view`: asking about an existing category allocates nothing.
template <>
struct KeyTraits<std::string> {
  using View = std::string_view;
  static std::uint64_t hash(View key, std::uint64_t seed) { return hashing::of_bytes(key.data(), key.size(), seed); }
  static bool equal(const std::string& stored, View key) { return stored == key; }
  static std::string make(View key) { return std::string(key); }
};

/// A place in the source, as a category: "this line may say so 150 times in 5 minutes".
struct CallSite {
  std::source_location location;

  constexpr CallSite(std::source_location where = std::source_location::current()) : location(where) {}  // NOLINT
  friend bool operator==(const CallSite& a, const CallSite& b) {
    return a.location.line() == b.location.line() && a.location.column() == b.location.column() &&
           (a.location.file_name() == b.location.file_name() ||
            std::strcmp(a.location.file_name(), b.location.file_name()) == 0);
  }
};

template <>
struct KeyTraits<CallSite> {
  using View = const CallSite&;
  static std::uint64_t hash(const CallSite& site, std::uint64_t seed) {
    // The name by its text: an inline function has copies of it in several translation units.
    const std::string_view file = site.location.file_name();
    const std::uint64_t place = (std::uint64_t{site.location.line()} << 32) | site.location.column();
    return hashing::of_number(place, hashing::of_bytes(file.data(), file.size(), seed));
  }
  static bool equal(const CallSite& stored, const CallSite& site) { return stored == site; }
  static CallSite make(const CallSite& site) { return site; }
};

}  // namespace gyre::rate
