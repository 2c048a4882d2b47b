#include <random>
#include <stdexcept>

#include <gyre/rate/internal/limiter_core.h>
#include <gyre/rate/limiter.h>

namespace gyre::rate {
namespace {

internal::Nanoseconds count_of(TimePoint time) noexcept {
  return std::max(time.time_since_epoch().count(), internal::kAlways);
}

void require_positive(std::int64_t cost) {
  if (cost <= 0) throw std::invalid_argument("Limiter: the cost must be positive");
}

}  // namespace

LimiterBase::LimiterBase() noexcept = default;
LimiterBase::LimiterBase(LimiterBase&&) noexcept = default;
LimiterBase& LimiterBase::operator=(LimiterBase&&) noexcept = default;
LimiterBase::~LimiterBase() = default;

LimiterBase::LimiterBase(Rates rates, const LimiterOptions& options, const KeyType& key_type)
    : core_(std::make_unique<internal::LimiterCore>(std::move(rates), options, key_type)) {
  std::random_device random;
  seed_ = (std::uint64_t{random()} << 32) | random();
}

TimePoint LimiterBase::now() const noexcept {
  return core_ == nullptr ? TimePoint() : core_->now();
}

Decision LimiterBase::allow_at(TimePoint now, const KeyView& key, std::int64_t cost) {
  require_positive(cost);
  return core_ == nullptr ? Decision() : core_->allow(count_of(now), key, cost);
}
Decision LimiterBase::peek_at(TimePoint now, const KeyView& key, std::int64_t cost) const {
  require_positive(cost);
  return core_ == nullptr ? Decision() : core_->peek(count_of(now), key, cost);
}
Decision LimiterBase::allow_at(TimePoint now, internal::Record& record, std::int64_t cost) {
  require_positive(cost);
  return core_->allow(count_of(now), record, cost);
}
Decision LimiterBase::peek_at(TimePoint now, internal::Record& record, std::int64_t cost) const {
  require_positive(cost);
  return core_->peek(count_of(now), record, cost);
}

bool LimiterBase::undo(const Ticket& ticket) {
  if (core_ == nullptr || ticket.record_ == nullptr) return false;
  return core_->undo(*static_cast<internal::Record*>(ticket.record_), ticket.sequence_, ticket.stamp_, ticket.cost_);
}
bool LimiterBase::clear(const KeyView& key) {
  return core_ != nullptr && core_->clear(key);
}
void LimiterBase::clear_all() {
  if (core_ != nullptr) core_->clear_all();
}
internal::Record* LimiterBase::resolve(const KeyView& key) {
  return core_->resolve(key);
}
void LimiterBase::release(internal::Record* record) noexcept {
  core_->release(*record);
}
std::size_t LimiterBase::size() const {
  return core_ == nullptr ? 0 : core_->size();
}
std::size_t LimiterBase::sweep(std::size_t budget) {
  return core_ == nullptr ? 0 : core_->sweep(budget);
}
Statistics LimiterBase::statistics() const {
  return core_ == nullptr ? Statistics() : core_->statistics();
}
Rates LimiterBase::rates() const {
  return core_ == nullptr ? Rates() : core_->rates();
}
Result<void> LimiterBase::set_rates(Rates rates) {
  if (core_ == nullptr) {
    return fail(Errc::invalid_argument, "this limiter was made without rates and has no categories; make a new one");
  }
  return core_->set_rates(std::move(rates));
}

}  // namespace gyre::rate
