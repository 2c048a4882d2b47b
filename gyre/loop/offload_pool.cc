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

  void work() {
    std::unique_lock lock(mutex);
    for (;;) {
      ++idle;
      changed.wait(lock, [this] { return closed || !queue.empty(); });
      --idle;
      if (closed) return;
      Job job = std::move(queue.front());
      queue.pop_front();
      lock.unlock();
      job(stop.get_token());
      job.reset();  // captures die here, not when the next job comes
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
        std::thread([state = state_] { state->work(); }).detach();
        ++state_->threads;
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
