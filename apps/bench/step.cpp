#include "apps/bench/step.h"

#include <memory>

#include "apps/bench/timing.h"
#include "core/device_backend.h"
#include "core/memory.h"
#include "layers/functions/cross_entropy.h"
#include "layers/model.h"
#include "optim/training_step.h"

namespace actgrad::bench {
namespace {

constexpr std::int64_t least_block_steps = 5;  // before the next optimizer's turn
constexpr double small_rate = 1e-5;            // takes the same time as any other, and the weights stay where they are

Tensor random_labels(std::int64_t count, std::int64_t classes) {
  Tensor labels = Tensor::empty({count}, DType::int32);
  Random random(0, Purpose::test, 1);
  for (std::int64_t i = 0; i < count; ++i)
    labels.data<std::int32_t>()[i] = static_cast<std::int32_t>(random.below(static_cast<std::uint32_t>(classes)));
  return labels;
}

// One model with one optimizer, and the times of their steps.
class Contestant {
 public:
  Contestant(const StepSettings& settings, const std::string& optimizer)
      : name_(optimizer), engine_(settings.engine), device_(settings.device) {
    const std::size_t before = memory_statistics(device_).bytes_in_use;
    const InputSpec input;
    model_ = make_model(settings.model, input, settings.dtype, 0, Options(model_options(settings.model)), device_);
    optimizer_ = make_optimizer(optimizer, *model_);
    step_ = std::make_unique<TrainingStep>(*model_, *optimizer_, TrainingStep::Settings{.record = settings.record});
    x_ = random_tensor({settings.batch_size, input.height, input.width, input.channels}, settings.dtype).to(device_);
    labels_ = random_labels(settings.batch_size, input.classes).to(device_);
    own_bytes_ = memory_statistics(device_).bytes_in_use - before;
  }

  // Times `steps` steps; returns the median of the whole step, or, where not all steps are of one kind, the mean.
  // Recorded steps are given to the device one behind the other, as in training, so only their mean is known.
  double run(std::int64_t steps, bool count) {
    const std::size_t held_before = memory_statistics(device_).bytes_in_use;
    reset_peak_memory(device_);
    std::vector<double> block;
    const double start = wait();
    for (std::int64_t i = 0; i < steps; ++i) block.push_back(step(count));
    const double mean = (wait() - start) / static_cast<double>(steps);
    if (count && step_->records()) total_.push_back(mean);
    // Without what the other contestants hold.
    peak_bytes_ = std::max(peak_bytes_, memory_statistics(device_).peak_bytes - held_before + own_bytes_);
    return step_->records() || period() > 1 ? mean : median(block);
  }

  std::int64_t period() const { return optimizer_->period(); }
  void add_ratio(double ratio) { ratios_.push_back(ratio); }

  // What a step asks of the device: of all steps until their kinds repeat, as they are without being recorded.
  StepWork count() {
    const auto launches = [&] { return device_.is_cpu() ? 0 : device_backend().launches(); };
    const std::uint64_t before = launches();
    TrainingStep plain(*model_, *optimizer_, {.record = false});
    StepWork work;
    work.steps = period();
    work.calls = kernels::count_work([&] {
      for (std::int64_t i = 0; i < work.steps; ++i)
        plain.run(small_rate, labels_.dim(0), 1, [&](const Pass& settings) { gradients(settings, [] {}); });
    });
    work.launches = launches() - before;
    return work;
  }

  StepResult result(const Peaks& peaks) {
    StepResult result;
    result.optimizer = name_;
    result.median_ms = median(total_);
    result.min_ms = *std::min_element(total_.begin(), total_.end());
    result.max_ms = *std::max_element(total_.begin(), total_.end());
    result.forward_ms = median(forward_);
    result.backward_ms = median(backward_);
    result.optimizer_ms = median(update_);
    result.images_per_second = 1e3 * static_cast<double>(labels_.dim(0)) / result.median_ms;
    result.ratio_to_first = median(ratios_);
    result.peak_memory_bytes = peak_bytes_;
    result.state_bytes = optimizer_->state_bytes();
    result.work = count();
    result.roofline_ms = result.work.roofline_ms(peaks);
    return result;
  }

 private:
  // The time when all work given to the device is done.
  double wait() const {
    if (!device_.is_cpu()) device_backend().synchronize();
    return now_ms();
  }

  double step(bool count) {
    const double start = step_->records() ? 0 : wait();
    double forward = 0, backward = 0;
    step_->run(small_rate, labels_.dim(0), 1, [&](const Pass& settings) {
      const double begin = part_time();
      double middle = 0;
      gradients(settings, [&] { middle = part_time(); });
      forward += middle - begin;
      backward += part_time() - middle;
    });
    if (step_->records()) return 0;
    const double total = wait() - start;
    if (count) {
      total_.push_back(total);
      forward_.push_back(forward);
      backward_.push_back(backward);
      update_.push_back(total - forward - backward);
    }
    return total;
  }

  template <class Between>
  void gradients(const Pass& settings, const Between& between) {
    Tape tape;
    Pass pass = settings;
    pass.tape = &tape;
    pass.conv_engine = engine_;
    const Loss loss = cross_entropy(pass, model_->forward(pass, x_), labels_);
    between();
    tape.backward({loss.seed});
  }

  double part_time() const { return step_->records() ? 0 : wait(); }

  std::string name_;
  kernels::ConvEngine engine_;
  Device device_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<TrainingStep> step_;
  Tensor x_, labels_;
  std::size_t own_bytes_ = 0, peak_bytes_ = 0;
  std::vector<double> total_, forward_, backward_, update_, ratios_;
};

}  // namespace

StepReport bench_step(const StepSettings& settings) {
  std::vector<std::unique_ptr<Contestant>> contestants;
  for (const std::string& optimizer : settings.optimizers)
    contestants.push_back(std::make_unique<Contestant>(settings, optimizer));
  std::int64_t block_steps = least_block_steps;
  for (auto& contestant : contestants) block_steps = std::max(block_steps, contestant->period());
  for (auto& contestant : contestants) contestant->run(settings.warmup, false);
  for (std::int64_t done = 0; done < settings.steps; done += block_steps) {
    double first = 0;
    for (auto& contestant : contestants) {
      const double median_of_block = contestant->run(std::min(block_steps, settings.steps - done), true);
      if (contestant == contestants.front()) first = median_of_block;
      contestant->add_ratio(median_of_block / first);
    }
  }
  StepReport report;
  report.peaks = measure_peaks(settings.device, settings.dtype);
  for (const auto& contestant : contestants) report.results.push_back(contestant->result(report.peaks));
  return report;
}

}  // namespace actgrad::bench
