#pragma once

#include <memory>
#include <mutex>
#include <unordered_map>

#include <v8-platform.h>
#include <v8.h>

#include <gyre/js/engine.h>

namespace gyre::js {

/// Receives the engine's tasks for one isolate's thread and hands them to the realm's delegate. Outlives the isolate:
/// the engine's worker threads may still hold it.
class ForegroundRunner final : public v8::TaskRunner {
 public:
  explicit ForegroundRunner(RealmDelegate& delegate) : delegate_(&delegate) {}
  /// Drops everything that comes from now on, and what has come but not run.
  void close();

#if V8_MAJOR_VERSION < 12
  void PostTask(std::unique_ptr<v8::Task> task) override { post(std::move(task), 0); }
  void PostNonNestableTask(std::unique_ptr<v8::Task> task) override { post(std::move(task), 0); }
  void PostDelayedTask(std::unique_ptr<v8::Task> task, double delay) override { post(std::move(task), delay); }
  // Not overriding this one would lose the time-outs of Atomics.waitAsync.
  void PostNonNestableDelayedTask(std::unique_ptr<v8::Task> task, double delay) override {
    post(std::move(task), delay);
  }
  void PostIdleTask(std::unique_ptr<v8::IdleTask>) override {}
#else
  void PostTaskImpl(std::unique_ptr<v8::Task> task, const v8::SourceLocation&) override { post(std::move(task), 0); }
  void PostNonNestableTaskImpl(std::unique_ptr<v8::Task> task, const v8::SourceLocation&) override {
    post(std::move(task), 0);
  }
  void PostDelayedTaskImpl(std::unique_ptr<v8::Task> task, double delay, const v8::SourceLocation&) override {
    post(std::move(task), delay);
  }
  void PostNonNestableDelayedTaskImpl(std::unique_ptr<v8::Task> task, double delay,
                                      const v8::SourceLocation&) override {
    post(std::move(task), delay);
  }
  void PostIdleTaskImpl(std::unique_ptr<v8::IdleTask>, const v8::SourceLocation&) override {}
#endif
  bool IdleTasksEnabled() override { return false; }
  bool NonNestableTasksEnabled() const override { return true; }
  bool NonNestableDelayedTasksEnabled() const override { return true; }

 private:
  void post(std::unique_ptr<v8::Task> task, double delay);

  std::mutex mutex_;
  RealmDelegate* delegate_;  // guarded by mutex_; null once closed
};

/// V8's view of this process: worker threads from its own default platform, each isolate's foreground tasks to the loop
/// that the isolate lives on.
class Platform final : public v8::Platform {
 public:
  /// Initialises V8 at the first call in a process; V8 cannot be initialised twice, nor again after its end, so this
  /// object is made once and stays. Later calls ignore the options.
  static Platform& instance(const EngineOptions& options);

  void add(v8::Isolate* isolate, std::shared_ptr<ForegroundRunner> runner);
  void remove(v8::Isolate* isolate);

  v8::PageAllocator* GetPageAllocator() override { return workers_->GetPageAllocator(); }
  int NumberOfWorkerThreads() override { return workers_->NumberOfWorkerThreads(); }
#if V8_MAJOR_VERSION < 12
  std::shared_ptr<v8::TaskRunner> GetForegroundTaskRunner(v8::Isolate* isolate) override { return runner_of(isolate); }
  void CallOnWorkerThread(std::unique_ptr<v8::Task> task) override { workers_->CallOnWorkerThread(std::move(task)); }
  void CallDelayedOnWorkerThread(std::unique_ptr<v8::Task> task, double delay) override {
    workers_->CallDelayedOnWorkerThread(std::move(task), delay);
  }
#if V8_MAJOR_VERSION < 11
  std::unique_ptr<v8::JobHandle> PostJob(v8::TaskPriority priority, std::unique_ptr<v8::JobTask> job) override {
    return workers_->PostJob(priority, std::move(job));
  }
#else
  std::unique_ptr<v8::JobHandle> CreateJob(v8::TaskPriority priority, std::unique_ptr<v8::JobTask> job) override {
    return workers_->CreateJob(priority, std::move(job));
  }
#endif
#else
  std::shared_ptr<v8::TaskRunner> GetForegroundTaskRunner(v8::Isolate* isolate, v8::TaskPriority) override {
    return runner_of(isolate);
  }
  void PostTaskOnWorkerThreadImpl(v8::TaskPriority priority, std::unique_ptr<v8::Task> task,
                                  const v8::SourceLocation& location) override {
    workers_->PostTaskOnWorkerThread(priority, std::move(task), location);
  }
  void PostDelayedTaskOnWorkerThreadImpl(v8::TaskPriority priority, std::unique_ptr<v8::Task> task, double delay,
                                         const v8::SourceLocation& location) override {
    workers_->PostDelayedTaskOnWorkerThread(priority, std::move(task), delay, location);
  }
  std::unique_ptr<v8::JobHandle> CreateJobImpl(v8::TaskPriority priority, std::unique_ptr<v8::JobTask> job,
                                               const v8::SourceLocation& location) override {
    return workers_->CreateJob(priority, std::move(job), location);
  }
#endif
  double MonotonicallyIncreasingTime() override { return workers_->MonotonicallyIncreasingTime(); }
  double CurrentClockTimeMillis() override { return workers_->CurrentClockTimeMillis(); }
  v8::TracingController* GetTracingController() override { return workers_->GetTracingController(); }

 private:
  explicit Platform(const EngineOptions& options);
  std::shared_ptr<v8::TaskRunner> runner_of(v8::Isolate* isolate);

  std::unique_ptr<v8::Platform> workers_;
  std::mutex mutex_;
  std::unordered_map<v8::Isolate*, std::shared_ptr<ForegroundRunner>> runners_;
};

}  // namespace gyre::js
