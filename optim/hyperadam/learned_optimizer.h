#pragma once

#include "kernels/optimizer_steps.h"
#include "optim/hyperadam/learned_rule.h"
#include "optim/optimizer.h"

namespace actgrad {

// Whether an optimizer is one of these, by its name.
bool is_learned(const std::string& optimizer);

// What tells a rule's weights, those of the file or of the library, from any others: sixteen hexadecimal digits that
// follow from all of them. Throws UserError when they cannot be read.
std::string learned_weights_id(const std::string& rule, const std::string& path);

// A learned optimizer at work: hyperadam, and the ones that its paper compares with. Its weights come from a file of
// metatrain, or with the library. All parameters form one vector, over whose whole length norms are taken.
class LearnedOptimizer final : public Optimizer {
 public:
  static OptionTable options(const std::string& rule);
  LearnedOptimizer(Model& model, const Options& options, const std::string& rule);
  void prepare(double lr) override;
  void update() override;
  bool recordable() const override { return rule_->recordable(); }
  std::vector<NamedTensor> state() override;

 private:
  // Parameters that are neighbours in the flat buffers, without a gap: elements [begin, end) there, from `at` on in
  // the vector.
  struct Run : Span {
    std::int64_t at;
  };
  std::vector<Run> runs(bool with_gradient) const;

  std::unique_ptr<LearnedRule> rule_;
  RuleState state_;
  StepValue<kernels::SgdStep> step_;
  Tensor gradient_;  // of all parameters, gaps left out
};

}  // namespace actgrad
