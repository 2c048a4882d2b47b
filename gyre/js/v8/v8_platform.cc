#include <algorithm>
#include <string>
#include <thread>

#include <libplatform/libplatform.h>

#include <gyre/js/v8/v8_platform.h>

namespace gyre::js {
namespace {

// With the default budget, loops that call only built-ins notice a termination seconds late; with this one in 0.14 s,
// at no measurable cost.
constexpr const char* kFlags[] = {
#if V8_MAJOR_VERSION < 11
    "--interrupt-budget=20000",
    "--harmony-import-attributes",
#endif
    // Regular expressions that backtrack too much are run again by the linear matcher.
    "--enable-experimental-regexp-engine-on-excessive-backtracks",
    "--regexp-backtracks-before-fallback=100000",
};

}  // namespace

void ForegroundRunner::close() {
  const std::lock_guard lock(mutex_);
  delegate_ = nullptr;
}

void ForegroundRunner::post(std::unique_ptr<v8::Task> task, double delay) {
  const std::lock_guard lock(mutex_);
  if (delegate_ == nullptr) return;
  delegate_->on_engine_task([task = std::move(task)] { task->Run(); }, delay);
}

Platform& Platform::instance(const EngineOptions& options) {
  static Platform* const platform = [&options] {
    for (const char* flag : kFlags) v8::V8::SetFlagsFromString(flag);
    for (const std::string& flag : options.flags) v8::V8::SetFlagsFromString(flag.c_str(), flag.size());
    auto* made = new Platform(options);  // never deleted: V8's threads use it until the process ends
    v8::V8::InitializePlatform(made);
    v8::V8::Initialize();
    return made;
  }();
  return *platform;
}

Platform::Platform(const EngineOptions& options) {
  const unsigned threads =
      options.worker_threads != 0 ? options.worker_threads : std::max(1U, std::thread::hardware_concurrency() - 1);
  workers_ = v8::platform::NewDefaultPlatform(static_cast<int>(std::min(threads, 16U)));
}

void Platform::add(v8::Isolate* isolate, std::shared_ptr<ForegroundRunner> runner) {
  const std::lock_guard lock(mutex_);
  runners_[isolate] = std::move(runner);
}

void Platform::remove(v8::Isolate* isolate) {
  std::shared_ptr<ForegroundRunner> removed;
  const std::lock_guard lock(mutex_);
  const auto found = runners_.find(isolate);
  if (found == runners_.end()) return;
  removed = std::move(found->second);
  runners_.erase(found);
}

std::shared_ptr<v8::TaskRunner> Platform::runner_of(v8::Isolate* isolate) {
  const std::lock_guard lock(mutex_);
  const auto found = runners_.find(isolate);
  return found == runners_.end() ? nullptr : found->second;
}

}  // namespace gyre::js
