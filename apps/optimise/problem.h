// A task with its data, ready to be optimised from one random start after another.
#pragma once

#include <memory>
#include <optional>

#include "apps/optimise/tasks.h"
#include "layers/functions/cross_entropy.h"
#include "layers/model.h"

namespace actgrad {

struct ProblemOptions {
  std::string data_dir;
  bool synthetic = false;          // made-up images in place of the task's
  std::int64_t train_samples = 0;  // the first N training images; 0: all
  std::int64_t batch_size = 128;
  std::uint64_t seed = 0;
  Device device = {};
};

struct Accuracy {
  double top1 = 0, top2 = 0;  // percent
  double loss = 0;            // mean over the images
};

class Problem {
 public:
  virtual ~Problem() = default;
  Model& model() { return *model_; }

  // Goes to start `number`: parameters θ ~ N(0, 0.1²), biases too, and before its first batch. Everything is drawn from
  // (seed, number) alone.
  void begin(std::int64_t number);
  void next_batch();
  // The loss on the batch at hand.
  Loss loss(Pass& pass);
  // The mean loss over the start's first `batches` batches, as in training: with dropout where there is any.
  double mean_loss(std::int64_t batches);
  // On the test images; nothing where a task has none.
  virtual std::optional<Accuracy> accuracy() { return std::nullopt; }

 protected:
  Problem(std::unique_ptr<Model> model, const ProblemOptions& options)
      : options_(options), model_(std::move(model)), dropout_first_(options.device) {}
  virtual void place(std::int64_t start) = 0;  // before the start's first batch
  virtual void take_batch() = 0;
  virtual Loss loss_of_batch(Pass& pass) = 0;

  ProblemOptions options_;
  std::unique_ptr<Model> model_;

 private:
  std::int64_t start_ = 0;
  std::uint64_t batches_ = 0;  // taken since the start
  StepValue<std::uint64_t> dropout_first_;
};

// Reads the task's data. Throws UserError when they are missing.
std::unique_ptr<Problem> make_problem(const Task& task, const ProblemOptions& options);

}  // namespace actgrad
