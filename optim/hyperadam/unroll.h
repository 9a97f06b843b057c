// Training a learned optimizer: the gradient of an optimizee's loss along a path of steps, with respect to the
// optimizer's weights (truncated backpropagation through time).
#pragma once

#include <functional>

#include "optim/hyperadam/learned_rule.h"

namespace actgrad {

// What is being optimised: the loss at w (n) on the next batch, and its gradient g (n).
using Objective = std::function<double(const Tensor& w, Tensor& g)>;

// A path through the optimizee's parameters: where it is, and what the rule remembers of it.
struct Path {
  Tensor w;
  RuleState state;
};
Path start_path(const LearnedRule& rule, const Tensor& w);

// Which losses of a segment a rule is trained on: the mean of all, or the last.
enum class SegmentLoss { mean, last };

// Takes `steps` steps w ← w − lr·d from the end of `path`, which moves on, and leaves the gradient of the segment's
// loss in rule.weights(). Losses are those before each step. The path so far and the optimizee's gradients are
// constants: no gradient flows through them, so no second derivatives are needed. Returns the losses.
std::vector<double> unroll_segment(LearnedRule& rule, const Objective& objective, std::int64_t steps, double lr,
                                   SegmentLoss loss, Path& path);

// The same steps without any gradient.
std::vector<double> follow(const LearnedRule& rule, const Objective& objective, std::int64_t steps, double lr,
                           Path& path);

}  // namespace actgrad
