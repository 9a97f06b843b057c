// Training a learned optimizer: many short trainings of an optimizee, each cut into segments; one step of Adam on the
// optimizer's weights per segment.
#pragma once

#include <functional>

#include "apps/metatrain/optimizee.h"

namespace actgrad {

struct MetaTrainingOptions {
  std::int64_t epochs = 700;
  std::int64_t meta_iterations = 100;  // trainings of the optimizee per epoch
  std::int64_t steps = 100;            // of each training
  std::int64_t segment = 20;           // steps through which gradients flow (truncated backpropagation through time)
  double lr = 0.005;                   // of the learned optimizer
  double meta_lr = 1e-4;               // of Adam
  SegmentLoss loss = SegmentLoss::mean;
  std::int64_t evaluations = 10;  // trainings without tricks, after each epoch
};

struct MetaEpoch {
  std::int64_t epoch = 0, meta_steps = 0;  // done
  double loss = 0;                         // mean over the epoch's segments and their steps
  double final_loss = 0;  // mean loss of the evaluations' last parameters over the batches they were trained on
  double train_seconds = 0, elapsed_seconds = 0;  // of the epoch's training; of the run
};

// What a run needs to go on bit for bit, besides the rule's weights.
struct MetaState {
  std::int64_t iteration = 0;  // trainings done
  double loss_sum = 0;         // over the segments of the epoch under way
  double train_seconds = 0, elapsed_seconds = 0;
  std::vector<MetaEpoch> history;
  Tensor m, v;                    // Adam's
  const MetaEpoch* best() const;  // the first with the lowest final loss; nullptr before any epoch is finished
};

class MetaTrainer {
 public:
  // `plain` is the same task without tricks. All must outlive this.
  MetaTrainer(LearnedRule& rule, Optimizee& task, Optimizee& plain, const MetaTrainingOptions& options);

  // Runs to the last epoch; false if `stop` said so, between two trainings. Throws UserError when weights are no longer
  // finite.
  bool run();
  double evaluate();  // MetaEpoch::final_loss

  std::function<bool()> stop;
  std::function<void()> on_iteration;
  std::function<void(const MetaEpoch&)> on_epoch;

  MetaState& state() { return state_; }
  const MetaTrainingOptions& options() const { return options_; }
  std::int64_t segments() const { return options_.steps / options_.segment; }

 private:
  void iterate();
  void meta_step();
  void finish_epoch();

  LearnedRule& rule_;
  Optimizee &task_, &plain_;
  MetaTrainingOptions options_;
  MetaState state_;
  std::int64_t meta_steps_ = 0;
};

}  // namespace actgrad
