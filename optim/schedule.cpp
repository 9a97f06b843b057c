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

double Schedule::rate(double lr, std::int64_t epoch, std::int64_t epochs) const {
  switch (kind) {
    case Kind::constant: return lr;
    case Kind::cosine:
      return 0.5 * lr * (1 + std::cos(std::numbers::pi * static_cast<double>(epoch) / static_cast<double>(epochs)));
    case Kind::multistep:
      for (std::int64_t milestone : milestones)
        if (epoch >= milestone) lr *= gamma;
      return lr;
  }
  ACTGRAD_CHECK(false, "schedule");
}

}  // namespace actgrad
