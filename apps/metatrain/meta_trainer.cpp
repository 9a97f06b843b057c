#include "apps/metatrain/meta_trainer.h"

#include <chrono>
#include <cmath>
#include <numeric>

#include "kernels/elementwise.h"
#include "kernels/optimizer_steps.h"

namespace actgrad {
namespace {

// Evaluations begin at the same parameters and see the same batches every time, so that epochs can be compared; far
// from the numbers that training draws.
constexpr std::uint64_t first_evaluation = std::uint64_t{1} << 40;
constexpr std::int64_t first_evaluation_epoch = std::int64_t{1} << 30;

class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

const MetaEpoch* MetaState::best() const {
  const MetaEpoch* found = nullptr;
  for (const MetaEpoch& epoch : history)
    if (!found || epoch.final_loss < found->final_loss ||
        (std::isnan(found->final_loss) && !std::isnan(epoch.final_loss)))
      found = &epoch;
  return found;
}

MetaTrainer::MetaTrainer(LearnedRule& rule, Optimizee& task, Optimizee& plain, const MetaTrainingOptions& options)
    : rule_(rule), task_(task), plain_(plain), options_(options) {
  if (options.steps % options.segment != 0)
    throw UserError("--segment: " + std::to_string(options.steps) + " steps are no multiple of " +
                    std::to_string(options.segment));
  state_.m = rule.weights().zeros_like();
  state_.v = rule.weights().zeros_like();
}

bool MetaTrainer::run() {
  while (state_.iteration < options_.epochs * options_.meta_iterations) {
    if (stop && stop()) return false;
    const Stopwatch watch;
    iterate();
    ++state_.iteration;
    state_.train_seconds += watch.seconds();
    state_.elapsed_seconds += watch.seconds();
    if (on_iteration) on_iteration();
    if (state_.iteration % options_.meta_iterations == 0) finish_epoch();
  }
  return true;
}

// One training of a fresh optimizee.
void MetaTrainer::iterate() {
  Path path =
      start_path(rule_, task_.start(static_cast<std::uint64_t>(state_.iteration), state_.iteration * options_.steps));
  meta_steps_ = state_.iteration * segments();
  for (std::int64_t segment = 0; segment < segments(); ++segment) {
    const std::vector<double> losses =
        unroll_segment(rule_, std::ref(task_), options_.segment, options_.lr, options_.loss, path);
    state_.loss_sum += std::accumulate(losses.begin(), losses.end(), 0.0) / static_cast<double>(losses.size());
    meta_step();
  }
  if (!kernels::all_finite(rule_.weights().values()))
    throw UserError("the optimizer's weights are not finite after " + std::to_string(state_.iteration) +
                    " trainings: a smaller --meta-lr may help");
}

// Adam as TensorFlow has it, the published code's: ε = 1e-8 is added to √v before the bias correction.
void MetaTrainer::meta_step() {
  const double t = static_cast<double>(++meta_steps_), beta1 = 0.9, beta2 = 0.999;
  const double correction1 = 1 - std::pow(beta1, t), correction2 = 1 - std::pow(beta2, t);
  Tensor weights = rule_.weights().values();
  kernels::adam_step(weights, rule_.weights().gradients(), state_.m, state_.v,
                     kernels::AdamStep{.lr = options_.meta_lr,
                                       .beta1 = beta1,
                                       .beta2 = beta2,
                                       .eps = 1e-8 / std::sqrt(correction2),
                                       .weight_decay = 0,
                                       .decoupled = false,
                                       .correction1 = correction1,
                                       .correction2 = correction2});
}

double MetaTrainer::evaluate() {
  double sum = 0;
  for (std::int64_t e = 0; e < options_.evaluations; ++e) {
    const std::int64_t first_batch = plain_.batches_per_epoch() * (first_evaluation_epoch + e);
    Path path = start_path(rule_, plain_.start(first_evaluation + static_cast<std::uint64_t>(e), first_batch));
    follow(rule_, std::ref(plain_), options_.steps, options_.lr, path);
    sum += plain_.mean_loss(path.w, first_batch, options_.steps);
  }
  return sum / static_cast<double>(options_.evaluations);
}

void MetaTrainer::finish_epoch() {
  const Stopwatch watch;
  const double segments_done = static_cast<double>(options_.meta_iterations * segments());
  MetaEpoch epoch{.epoch = state_.iteration / options_.meta_iterations,
                  .meta_steps = state_.iteration * segments(),
                  .loss = state_.loss_sum / segments_done,
                  .final_loss = evaluate(),
                  .train_seconds = state_.train_seconds};
  state_.elapsed_seconds += watch.seconds();
  epoch.elapsed_seconds = state_.elapsed_seconds;
  state_.loss_sum = state_.train_seconds = 0;
  state_.history.push_back(epoch);
  if (on_epoch) on_epoch(epoch);
}

}  // namespace actgrad
