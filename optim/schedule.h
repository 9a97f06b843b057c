// Learning-rate schedules: a factor of the base rate, constant within an epoch.
#pragma once

#include <string>
#include <vector>

namespace actgrad {

struct Schedule {
  enum class Kind { constant, cosine, multistep };
  Kind kind = Kind::cosine;
  std::vector<std::int64_t> milestones;  // multistep: epochs at whose start the rate is multiplied by gamma
  double gamma = 0.1;

  static Kind parse_kind(const std::string& text);  // throws UserError

  // The rate in epoch `epoch` (0-based) of `epochs`:
  //   cosine: ½·lr·(1 + cos(π·epoch/epochs)) (AdaAct's published recipe; Loshchilov and Hutter 2017).
  double rate(double lr, std::int64_t epoch, std::int64_t epochs) const;
};

}  // namespace actgrad
