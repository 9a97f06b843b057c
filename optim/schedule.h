// Learning-rate schedules: from the base rate to that of an epoch, or of a step within it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace actgrad {

struct Schedule {
  enum class Kind { constant, cosine, multistep };
  Kind kind = Kind::cosine;
  std::vector<std::int64_t> milestones;  // multistep: epochs at whose start the rate is multiplied by gamma
  double gamma = 0.1;
  double min_lr = 0;               // cosine: where it ends
  std::int64_t warmup_epochs = 0;  // in which the rate rises linearly, from warmup_lr to where the schedule begins
  double warmup_lr = 0;
  bool per_step = false;  // the rate changes with every step; else it is constant within an epoch

  static Kind parse_kind(const std::string& text);  // throws UserError

  // The rate when `epoch` of `epochs` are done; 2.5: in the middle of the third.
  //   warm-up: warmup_lr + epoch·(lr − warmup_lr)/warmup_epochs; then, epoch counted from the run's beginning as
  //   before: cosine:  min_lr + ½·(lr − min_lr)·(1 + cos(π·epoch/epochs))  (Loshchilov and Hutter 2017)
  // With min_lr 0 and no warm-up this is AdaAct's published recipe for CIFAR; with both timm's, its recipe for DeiT.
  double rate(double lr, double epoch, std::int64_t epochs) const;
};

}  // namespace actgrad
