// One optimizer on its way down from a start: the optimizers of `train`, and learned ones.
#pragma once

#include <memory>

#include "apps/optimise/problem.h"

namespace actgrad {

class Descent {
 public:
  virtual ~Descent() = default;
  // One step on the problem's next batch; returns the loss before it.
  virtual double step() = 0;
};

// Every optimizer that `optimise` has: those of train, then the learned ones.
std::vector<std::string> descent_names();
std::string descent_help(const std::string& name);  // one line
OptionTable descent_options(const std::string& name, const std::string& base = "");

// Makes optimizers in their first state, for one start after another.
class DescentMaker {
 public:
  virtual ~DescentMaker() = default;
  virtual std::unique_ptr<Descent> make() = 0;
  virtual std::size_t state_bytes() = 0;  // of an optimizer on this problem
};

// The problem must outlive the maker and what it makes. Throws UserError when the weights of a learned optimizer cannot
// be read.
std::unique_ptr<DescentMaker> make_descent_maker(const std::string& name, const Options& options, Problem& problem);

}  // namespace actgrad
