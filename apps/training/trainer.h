// The training loop. In three lines:
//   auto model = make_model("lenet5", input_spec(data));
//   auto optimizer = make_optimizer("adaact", *model, Options(optimizer_options("adaact")).set("weight-decay", 0.002));
//   Trainer(*model, *optimizer, data, {.epochs = 10, .lr = 0.1}).run();
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "apps/training/activation_recorder.h"
#include "apps/training/rate_recorder.h"
#include "apps/training/recordings.h"
#include "core/device_backend.h"
#include "data/loader.h"
#include "layers/model.h"
#include "optim/schedule.h"
#include "optim/training_step.h"

namespace actgrad {

struct TrainingOptions {
  std::int64_t epochs = 10;
  double lr = 0.1;  // the schedule's base rate
  Schedule schedule = {};
  double clip_norm = 0;  // largest norm of all gradients together (clip_gradients); 0: any
  std::int64_t batch_size = 128;
  std::int64_t accumulate = 1;  // batches per optimizer step, which then sees the mean gradient over all their samples
  bool shuffle = true;
  std::optional<bool> augment = {};  // crop and flip; absent: as is usual for the data set
  std::uint64_t seed = 0;            // of order, augmentation and dropout
  kernels::ConvEngine conv_engine = kernels::ConvEngine::automatic;
  bool record = true;    // steps on a GPU are recorded once and replayed (a CUDA graph)
  Recordings keep = {};  // Trainer::recorders()
};

// One row of metrics.csv.
struct EpochMetrics {
  std::int64_t epoch = 0;  // from 1
  double lr = 0;           // of its first step
  double train_loss = 0,
         train_accuracy = 0;  // over the epoch's batches as they were met, in training mode; accuracies in percent
  double test_loss = 0, test_accuracy = 0;  // after the epoch
  double train_seconds = 0;                 // of this epoch, without the test
  double elapsed_seconds = 0;               // of the whole run so far
  std::size_t peak_memory_bytes = 0;        // of tensors
};

class Stopwatch {
 public:
  // Seconds since the last call, or since the start.
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    return std::chrono::duration<double>(now - std::exchange(start_, now)).count();
  }
  // The same, without starting again.
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Where a run stands, besides its tensors: all that is needed to go on from there.
struct TrainingState {
  std::int64_t epoch = 0;  // epochs finished, test included
  std::int64_t batch = 0;  // batches of the next epoch that are done
  // Over the samples of those that are known to be computed: on a GPU, work is given ahead. Complete when run()
  // returns.
  double loss_sum = 0;
  std::int64_t correct = 0, samples = 0;
  double train_seconds = 0;           // spent on those
  double elapsed_seconds = 0;         // of the whole run, over all sittings
  std::vector<EpochMetrics> history;  // of the finished epochs

  const EpochMetrics* best() const;  // the first with the highest test accuracy; nullptr before any epoch is finished
};

// The loss is infinite or not a number. The model is then of no use any more.
class LossNotFinite : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Evaluation {
  double loss = 0;      // mean over the images
  double accuracy = 0;  // percent
};

// Images per batch of a test.
inline constexpr std::int64_t test_batch_size = 500;

// Throws UserError when cutting the images into batches leaves a single one that the network cannot take: cnn1 and cnn2
// with batch normalisation standardise over each batch, in tests too. `options`: the model's; `what`: "training";
// `remedy`: the options that may help.
void refuse_single_images(const Model& model, const Options& options, const std::string& what, std::int64_t images,
                          std::int64_t batch_size, const std::string& remedy);

// The model on a set of images, in evaluation mode. `on_logits`, if given, sees each batch's logits in order.
// nullopt when `stop`, asked between batches, says so.
std::optional<Evaluation> evaluate(Model& model, const ImageSet& set, const Dataset& normalisation,
                                   kernels::ConvEngine engine = kernels::ConvEngine::automatic,
                                   const std::function<bool()>& stop = {},
                                   const std::function<void(const Tensor& logits)>& on_logits = {},
                                   std::int64_t batch_size = test_batch_size);

// What a model for this data set takes and gives.
InputSpec input_spec(const Dataset& data);

class Trainer {
 public:
  // All must outlive the trainer.
  Trainer(Model& model, Optimizer& optimizer, const Dataset& data, const TrainingOptions& options);

  // Called after each step, and after each epoch's test; `stop` is asked after each step.
  std::function<void()> on_step;
  std::function<void(const EpochMetrics&)> on_epoch;
  std::function<bool()> stop;

  // Trains until all epochs are done (true), or `stop` says so (false): the state is then that after a whole step.
  // Throws LossNotFinite before the loss spoils the model.
  bool run();

  const TrainingState& state() const { return state_; }
  void set_state(const TrainingState& state) { state_ = state; }  // of a checkpoint
  const TrainingOptions& options() const { return options_; }
  double lr() const { return lr_at(state_.epoch, state_.batch); }  // of the next step
  std::int64_t batches() const { return loader_.batches(); }       // per epoch
  // Of what is kept of every step, with the rows of this epoch.
  const std::vector<StepRecorder*>& recorders() const { return recorders_; }
  std::int64_t steps_per_epoch() const { return steps_for(batches()); }
  std::int64_t steps_done() const { return steps_for(state_.batch); }  // of the next epoch
  std::int64_t samples_per_epoch() const { return data_.train.size(); }

 private:
  double lr_at(std::int64_t epoch, std::int64_t batch) const;
  double lr_before() const;
  bool train_epoch();
  void step();
  void forward_backward(const Pass& pass, const Batch& batch, std::int64_t micro_batch, std::int64_t samples);
  void read_totals(bool wait);
  void take_totals(const double* totals, std::int64_t samples);
  bool finish_epoch();
  std::int64_t steps_for(std::int64_t batches) const {
    return (batches + options_.accumulate - 1) / options_.accumulate;
  }
  bool stopping() const { return stop && stop(); }
  void add_elapsed();

  Model& model_;
  Optimizer& optimizer_;
  const Dataset& data_;
  TrainingOptions options_;
  Device device_;  // the model's
  ImageSet test_;  // there
  Loader loader_;
  StepValue<std::uint64_t> dropout_first_;
  std::optional<ActivationRecorder> activations_;
  std::optional<RateRecorder> rates_;
  std::optional<PreconditionerRecorder> preconditioner_;
  std::vector<StepRecorder*> recorders_;
  TrainingStep step_;
  TrainingState state_;

  Tensor totals_;             // (2) float64 on the device: loss and correct predictions of this epoch so far
  std::int64_t samples_ = 0;  // that the device was given in this epoch
  struct Reading {
    std::unique_ptr<PendingRead> totals;
    std::int64_t samples = 0;  // behind them
  };
  Reading reading_;  // the last one, while it is under way
  Stopwatch since_reading_;
  Stopwatch stopwatch_;  // since elapsed_seconds was brought up to date
};

}  // namespace actgrad
