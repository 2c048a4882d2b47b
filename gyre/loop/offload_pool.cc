#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>

#include <gyre/loop/offload_pool.h>

namespace gyre {

struct OffloadPool::State {
  State(unsigned thread_limit, std::size_t job_limit) : max_threads(thread_limit), queue_limit(job_limit) {}

  const unsigned max_threads;
  const std::size_t queue_limit;
  std::stop_source stop;
  std::mutex mutex;
  std::condition_variable changed;
  // Guarded by mutex:
  std::deque<Job> queue;
  unsigned threads = 0;
  unsigned idle = 0;
  bool closed = false;

  // With the mutex held, as everything that is called from here.
  void start_thread(const std::shared_ptr<State>& self) {
    std::thread([self] { work(self); }).detach();
    ++threads;
  }

  // Takes the place of a thread that its job has ended (pthread_exit, cancellation).
  class Replacement {
   public:
    explicit Replacement(const std::shared_ptr<State>& state) : state_(state) {}
    Replacement(const Replacement&) = delete;
    Replacement& operator=(const Replacement&) = delete;
    void not_needed() { needed_ = false; }
    ~Replacement() {
      if (!needed_) return;
      const std::lock_guard lock(state_->mutex);
      --state_->threads;
      if (state_->closed || state_->queue.empty()) return;
      try {
        state_->start_thread(state_);
      } catch (const std::system_error&) {  // NOLINT(bugprone-empty-catch): the next submit tries again
      }
    }

   private:
    const std::shared_ptr<State>& state_;
    bool needed_ = true;
  };

  static void work(const std::shared_ptr<State>& self) {
    State& state = *self;
    std::unique_lock lock(state.mutex);
    for (;;) {
      ++state.idle;
      state.changed.wait(lock, [&state] { return state.closed || !state.queue.empty(); });
      --state.idle;
      if (state.closed) return;
      Job job = std::move(state.queue.front());
      state.queue.pop_front();
      lock.unlock();
      Replacement replacement(self);
      job(state.stop.get_token());
      job.reset();  // captures die here, not when the next job comes
      replacement.not_needed();
      lock.lock();
    }
  }
};

OffloadPool::OffloadPool(unsigned threads, std::size_t queue_limit)
    : state_(std::make_shared<State>(threads, queue_limit)) {}

OffloadPool::~OffloadPool() {
  std::deque<Job> unrun;
  {
    const std::lock_guard lock(state_->mutex);
    state_->closed = true;
    unrun.swap(state_->queue);
  }
  state_->stop.request_stop();
  state_->changed.notify_all();
}

Result<void> OffloadPool::submit(Job job) {
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->queue.size() >= state_->queue_limit) {
      return fail(Errc::backpressure,
                  "{} off-loaded jobs are waiting already; try again later or raise offload_queue_limit",
                  state_->queue.size());
    }
    if (state_->idle <= state_->queue.size() && state_->threads < state_->max_threads) {
      try {
        state_->start_thread(state_);
      } catch (const std::system_error& error) {
        if (state_->threads == 0) return std::unexpected(Error(error.code(), "start a thread for off-loaded work"));
      }
    }
    state_->queue.push_back(std::move(job));
  }
  state_->changed.notify_one();
  return {};
}

}  // namespace gyre
