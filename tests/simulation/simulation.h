#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gyre/loop/loop.h>

#include "rules.h"
#include "world.h"

namespace gyre::simulation {

/// One life of a loop. See README.md.
class Simulation final : public Surroundings {
 public:
  explicit Simulation(std::uint64_t seed, bool keep_log = false);
  ~Simulation() override;

  void run();

  const std::vector<std::string>& violations() const { return violations_; }
  const std::vector<std::string>& log() const { return log_; }
  /// Two lives with the same one were the same.
  std::uint64_t fingerprint() const { return fingerprint_; }
  std::size_t callbacks() const { return rules_.ran(); }

 private:
  static constexpr std::size_t kLongLife = 400;  // callbacks, after which it is ended
  static constexpr int kDescriptors = 4;
  static constexpr int kFirstDescriptor = 1000;

  struct Timer {
    int item;
    TimerId id;
  };
  struct Immediate {
    int item;
    ImmediateId id;
  };

  static LoopOptions options_for(Choices& choices, SimulatedClock& clock, std::size_t& failures);
  static Rules::Leeway leeway_for(const LoopOptions& options);

  bool while_asleep(TimePoint deadline) override;
  void note(std::string text);
  Task body(int item);
  void act();       // what a callback does
  void schedule();  // on the loop's thread
  void touch_timers();
  void touch_descriptors();
  void act_elsewhere();  // what another thread does
  void finish(std::string how);
  Duration some_delay() { return std::chrono::microseconds(50) * (choices_.one_in(3) ? 0 : choices_.below(40)); }

  Choices choices_;
  const bool keep_log_;
  SimulatedClock clock_{*this};
  std::size_t failures_ = 0;
  std::size_t failures_reported_ = 0;
  LoopOptions options_;
  Rules rules_;
  std::unique_ptr<Loop> loop_;
  Remote remote_;
  SimulatedPoller* poller_;
  std::vector<Timer> timers_;
  std::vector<Immediate> immediates_;
  std::map<int, Watcher> watchers_;
  std::vector<std::string> log_;
  std::vector<std::string> violations_;
  std::uint64_t fingerprint_ = 14695981039346656037u;
  int actions_left_;
  int visits_left_;  // of other threads
  bool over_ = false;
};

}  // namespace gyre::simulation
