#include "apps/optimise/descent.h"

#include "optim/hyperadam/learned_optimizer.h"

namespace actgrad {

OptionTable descent_options(const std::string& optimizer, const std::string& base) {
  OptionTable table = optimizer_options(optimizer, base);
  if (is_learned(optimizer))
    table.push_back({"weights-id", std::string(), "refuse other weights than these; empty: take what there is"});
  return table;
}

Descent::Descent(const std::string& optimizer, const Options& options, Problem& problem)
    : problem_(problem),
      lr_(options.number("lr")),
      optimizer_(make_optimizer(optimizer, problem.model(), options)),
      step_(problem.model(), *optimizer_, {.record = false}) {}

double Descent::step() {
  problem_.next_batch();
  double mean = 0;
  step_.run(lr_, 1, 1, [&](const Pass& settings) {
    Tape tape;
    Pass pass = settings;
    pass.tape = &tape;
    const Loss loss = problem_.loss(pass);
    if (pass.primary) mean = loss.mean();
    tape.backward({loss.seed});
  });
  return mean;
}

}  // namespace actgrad
