#include <optional>
#include <utility>

#include <gyre/loop/internal/loop_core.h>

namespace gyre::internal {

// Work that blocks, on threads of its own.

namespace {

// Tells the loop that off-loaded work is over, however it left its thread.
class OffloadReport {
 public:
  OffloadReport(std::shared_ptr<SharedState> loop, LoopCore* core, std::uint32_t slot)
      : loop_(std::move(loop)), core_(core), slot_(slot) {
    offloading_for = loop_.get();
  }
  OffloadReport(const OffloadReport&) = delete;
  OffloadReport& operator=(const OffloadReport&) = delete;
  ~OffloadReport() {
    offloading_for = nullptr;
    // The core is used only inside the task, which runs only while the loop exists.
    auto task = [core = core_, slot = slot_, failure = std::move(failure)] {
      core->complete_offload(slot, failure ? &*failure : nullptr);
    };
    static_assert(Task::fits_inline<decltype(task)>());
    static_cast<void>(loop_->push(IngressKind::priority_task, std::move(task), Ingress::Gate::completions));
  }

  std::optional<Error> failure = Error(Errc::broken, "the thread of the off-loaded work ended before the work did");

 private:
  const std::shared_ptr<SharedState> loop_;
  LoopCore* const core_;
  const std::uint32_t slot_;
};

}  // namespace

Result<void> LoopCore::offload(OffloadJob job, OffloadDone done) {
  if (!offload_pool_) {
    offload_pool_ = std::make_unique<OffloadPool>(options.offload_threads, options.offload_queue_limit);
  }
  const std::uint32_t slot = offloads_.acquire();
  auto submitted =
      offload_pool_->submit([this, state = shared, slot, job = std::move(job)](std::stop_token stop) mutable {
        OffloadReport report(std::move(state), this, slot);
        try {
          job(std::move(stop));
          report.failure.reset();
        } catch (...) {
          let_cancellation_pass();
          report.failure = Error::from_exception(std::current_exception());
        }
        job.reset();  // what the work captured goes before the loop hears of it
      });
  if (submitted) {
    offloads_[slot] = std::move(done);
  } else {
    offloads_.release(slot);
  }
  return submitted;
}

void LoopCore::complete_offload(std::uint32_t slot, const Error* failure) {
  OffloadDone done = std::move(offloads_[slot]);
  offloads_.release(slot);
  done(failure);
}

}  // namespace gyre::internal
