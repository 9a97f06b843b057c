#include "optim/schedule.h"

#include <cmath>
#include <numbers>

#include "core/error.h"
#include "core/options.h"

namespace actgrad {

Schedule::Kind Schedule::parse_kind(const std::string& text) {
  if (text == "constant") return Kind::constant;
  if (text == "cosine") return Kind::cosine;
  if (text == "multistep") return Kind::multistep;
  throw UserError(unknown_name("schedule", text, {"constant", "cosine", "multistep"}));
}

double Schedule::rate(double lr, double epoch, std::int64_t epochs) const {
  if (!per_step) epoch = std::floor(epoch);
  if (epoch < static_cast<double>(warmup_epochs))
    return warmup_lr + epoch * (lr - warmup_lr) / static_cast<double>(warmup_epochs);
  switch (kind) {
    case Kind::constant: return lr;
    case Kind::cosine:
      return min_lr + 0.5 * (lr - min_lr) * (1 + std::cos(std::numbers::pi * epoch / static_cast<double>(epochs)));
    case Kind::multistep:
      for (std::int64_t milestone : milestones)
        if (epoch >= static_cast<double>(milestone)) lr *= gamma;
      return lr;
  }
  ACTGRAD_CHECK(false, "schedule");
}

}  // namespace actgrad
