#include "optim/hyperadam/unroll.h"

#include "kernels/elementwise.h"

namespace actgrad {
namespace {

// Cuts the path off from the tape that made it: its end counts as a constant from now on.
void detach(Path& path) {
  for (Variable& tensor : path.state.tensors) tensor = Variable(tensor.value());
}

}  // namespace

Path start_path(const LearnedRule& rule, const Tensor& w) {
  return {w.clone(), rule.initial_state(w.numel())};
}

std::vector<double> unroll_segment(LearnedRule& rule, const Objective& objective, std::int64_t steps, double lr,
                                   SegmentLoss loss, Path& path) {
  Tape tape;
  Pass recording{.tape = &tape, .training = true}, plain;
  Variable w(path.w);
  std::vector<double> losses;
  std::vector<Seed> seeds;
  for (std::int64_t k = 0; k < steps; ++k) {
    Tensor g = Tensor::empty(w.value().shape(), w.value().dtype(), w.value().device());
    losses.push_back(objective(w.value(), g));
    const bool last = k + 1 == steps;
    // Of the loss's dependence on the weights, all goes through w: its gradient there is g.
    if (w.requires_grad() && (last || loss == SegmentLoss::mean)) {
      Tensor share = g.clone();
      if (loss == SegmentLoss::mean) kernels::scale(share, 1 / static_cast<double>(steps));
      seeds.push_back({w, share});
    }
    // No loss follows the last step.
    Pass& pass = last ? plain : recording;
    w = descend(pass, w, lr, rule.step(pass, g, path.state));
  }
  path.w = w.value();
  detach(path);
  rule.weights().clear_gradients();
  tape.backward(seeds);
  return losses;
}

std::vector<double> follow(const LearnedRule& rule, const Objective& objective, std::int64_t steps, double lr,
                           Path& path) {
  Pass plain;
  std::vector<double> losses;
  for (std::int64_t k = 0; k < steps; ++k) {
    Tensor g = Tensor::empty(path.w.shape(), path.w.dtype(), path.w.device());
    losses.push_back(objective(path.w, g));
    path.w = descend(plain, Variable(path.w), lr, rule.step(plain, g, path.state)).value();
  }
  detach(path);
  return losses;
}

}  // namespace actgrad
