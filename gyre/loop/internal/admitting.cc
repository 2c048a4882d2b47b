#include <string>

#include <fmt/format.h>

#include <gyre/loop/internal/admission_control.h>
#include <gyre/loop/internal/loop_core.h>

namespace gyre::internal {

// What the loop's own thread does for admission control, once a turn.

void LoopCore::attend_admission() {
  AdmissionControl& admission = *shared->admission;
  admission.attend(now());
  if (const auto depth = admission.take_soft_excess(); depth && admission.on_soft_depth()) {
    guard(CallbackKind::pressure, [&] { admission.on_soft_depth()(*depth); });
  }
  for (std::uint8_t i = 0; i < kAdmissionRefusals; ++i) {
    const auto reason = static_cast<AdmissionRefusal>(i);
    if (!admission.take_warning(reason)) continue;
    const AdmissionMetrics metrics = admission.metrics();
    diagnose({Severity::warning,
              "admission_refused",
              fmt::format("admission control refuses tasks by its limit on {}; this is said once a minute at most",
                          to_string(reason)),
              {{"reason", std::string(to_string(reason))},
               {"refused", std::to_string(metrics.refused_for[i])},
               {"accepted", std::to_string(metrics.accepted)},
               {"depth", std::to_string(metrics.depth)}}});
  }
}

}  // namespace gyre::internal
