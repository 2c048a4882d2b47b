#include "simulation.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

namespace gyre::simulation {
namespace {

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

std::string told(const Simulation& life) {
  std::string text;
  for (const auto& violation : life.violations()) text += "  " + violation + "\n";
  return text;
}

TEST(Simulation, NoSeedBreaksARule) {
  std::uint64_t first = 1;
  std::uint64_t count = from_environment("GYRE_SIMULATION_SEEDS", 10'000);
  if (const std::uint64_t only = from_environment("GYRE_SIMULATION_SEED", 0); only != 0) {
    Simulation life(only, true);
    life.run();
    for (const auto& line : life.log()) std::puts(line.c_str());
    ASSERT_TRUE(life.violations().empty()) << told(life);
    return;
  }
  std::uint64_t callbacks = 0;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    Simulation life(seed);
    life.run();
    callbacks += life.callbacks();
    ASSERT_TRUE(life.violations().empty())
        << told(life) << "GYRE_SIMULATION_SEED=" << seed << " shows how it came to that";
    if (count > 100'000 && seed % 100'000 == 0) std::printf("%llu seeds\n", static_cast<unsigned long long>(seed));
  }
  std::printf("%llu lives, %llu callbacks\n", static_cast<unsigned long long>(count),
              static_cast<unsigned long long>(callbacks));
  EXPECT_GT(callbacks, 10 * count);  // else the lives are too short to mean anything
}

TEST(Simulation, ASeedAlwaysGivesTheSameLife) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Simulation first(seed);
    first.run();
    Simulation second(seed);
    second.run();
    ASSERT_EQ(first.fingerprint(), second.fingerprint()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace gyre::simulation
