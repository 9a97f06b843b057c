// The small network of scripts/golden/network.py, and the golden trajectories that scripts/make_golden.py has written.
#pragma once

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "kernels/elementwise.h"
#include "kernels/parallel.h"
#include "layers/batch_norm2d.h"
#include "layers/conv2d.h"
#include "layers/functions/cross_entropy.h"
#include "layers/linear.h"
#include "layers/sequential.h"
#include "optim/training_step.h"
#include "test/kernels/values.h"

namespace actgrad::test {

using Json = nlohmann::ordered_json;

// Uniform in [-1, 1): Knuth's 64-bit linear congruential generator.
class Numbers {
 public:
  explicit Numbers(std::uint64_t seed) : state_(seed) {}
  double next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<double>(state_ >> 11) * 0x1p-52 - 1;
  }

 private:
  std::uint64_t state_;
};

// Convolutions with bias, with stride 2, and in two dilated groups; batch normalisation (unless left out); two linear
// layers.
struct GoldenNetwork final : Module {
  static constexpr std::int64_t channels = 2, height = 7, width = 6, classes = 3;

  explicit GoldenNetwork(bool normalised = true) : normalised_(normalised) {
    add("conv1", conv1);
    add("conv2", conv2);
    if (normalised) add("bn", bn);
    add("conv3", conv3);
    add("fc1", fc1);
    add("fc2", fc2);
  }

  Variable forward(Pass& pass, const Variable& x) override {
    Variable y = note(relu(pass, conv1.forward(pass, x)));
    y = conv2.forward(pass, y);
    y = note(normalised_ ? bn.forward_relu(pass, y) : relu(pass, y));
    y = note(relu(pass, conv3.forward(pass, y)));
    y = note(relu(pass, fc1.forward(pass, flatten(pass, y))));
    return fc2.forward(pass, y);
  }

  Conv2d conv1{channels, 3, 3, Conv2dOptions{.padding = 1}};
  Conv2d conv2{3, 4, 3, Conv2dOptions{.stride = 2, .padding = 1}, /*bias=*/false};
  BatchNorm2d bn{4};
  Conv2d conv3{4, 4, 3, Conv2dOptions{.padding = 1, .dilation = 2, .groups = 2}};
  Linear fc1{8, 4}, fc2{4, classes};
  std::vector<bool> active;  // which units every ReLU has let through, in all passes so far

 private:
  Variable note(Variable y) {
    for (double value : doubles(y.value())) active.push_back(value > 0);
    return y;
  }
  bool normalised_;
};

struct GoldenBatch {
  Tensor images;  // (N, H, W, C)
  Tensor labels;  // (N)
};

// The images and labels of `steps` steps; the streams run in PyTorch's order (step, image, channel, row, column).
inline std::vector<GoldenBatch> golden_batches(int steps, std::int64_t size, DType dtype) {
  Numbers pixels(2), classes(3);
  std::vector<GoldenBatch> batches;
  for (int step = 0; step < steps; ++step) {
    constexpr std::int64_t C = GoldenNetwork::channels, H = GoldenNetwork::height, W = GoldenNetwork::width;
    Tensor images = Tensor::empty({size, H, W, C}, DType::float64);
    for (std::int64_t n = 0; n < size; ++n)
      for (std::int64_t c = 0; c < C; ++c)
        for (std::int64_t i = 0; i < H * W; ++i) images.data<double>()[(n * H * W + i) * C + c] = pixels.next();
    std::vector<std::int32_t> labels;
    for (std::int64_t n = 0; n < size; ++n)
      labels.push_back(static_cast<std::int32_t>((classes.next() + 1) / 2 * GoldenNetwork::classes));
    Tensor converted = Tensor::empty(images.shape(), dtype);
    if (dtype == DType::float64)
      converted.copy_from(images);
    else
      kernels::cast(images, converted);
    batches.push_back({converted, Tensor::from({size}, labels)});
  }
  return batches;
}

// What scripts/make_golden.py has written; members are in the file's order.
inline const Json& golden_file() {
  static const Json file = [] {
    const std::string path = ACTGRAD_SOURCE "/test/optim/golden/trajectories.json";
    std::ifstream stream(path);
    REQUIRE(stream);
    return Json::parse(stream);
  }();
  return file;
}

inline bool registered(const std::string& optimizer) {
  const std::vector<std::string> names = optimizer_names();
  return std::find(names.begin(), names.end(), optimizer) != names.end();
}

// The table of a case's optimizer, which may be made around another one.
inline OptionTable option_table(const Json& entry) {
  const auto base = entry["options"].find("base-optim");
  return base == entry["options"].end() ? optimizer_options(entry["optimizer"])
                                        : optimizer_options(entry["optimizer"], *base);
}

// The first thing that a case needs and that does not exist; "" when it can be run.
inline std::string missing(const Json& entry) {
  const std::string optimizer = entry["optimizer"];
  if (!registered(optimizer)) return optimizer;
  const OptionTable table = option_table(entry);
  for (const auto& [name, value] : entry["options"].items())
    if (!find_option(table, name)) return name;
  return "";
}

inline OptionValue option_value(const Json& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (value.is_number()) return value.get<double>();
  return value.get<std::string>();
}

// The script's defaults need not be the library's.
inline Options golden_options(const Json& entry) {
  Options options(option_table(entry));
  for (const auto& [name, value] : entry["defaults"].items())
    if (options.contains(name)) options.set(name, option_value(value));
  for (const auto& [name, value] : entry["options"].items()) options.set(name, option_value(value));
  return options;
}

// Initial values: weights ±√(6/fan_in), biases ±0.1, scales 1 ± 0.2, shifts ±0.2, in the order of the file's list of
// parameters, of which the model may lack some.
inline void set_golden_values(Model& model) {
  Numbers numbers(1);
  std::vector<NamedTensor> state = model.state();
  for (const auto& [name, sides] : golden_file()["parameters"].items()) {
    const Shape shape(sides.get<std::vector<std::int64_t>>());
    double offset = 0, scale = name.starts_with("bn.") ? 0.2 : 0.1;
    if (name == "bn.weight") offset = 1;
    if (shape.rank() > 1) scale = std::sqrt(6 / (static_cast<double>(shape.numel()) / static_cast<double>(shape[0])));
    std::vector<double> values;
    for (std::int64_t i = 0; i < shape.numel(); ++i) values.push_back(offset + scale * numbers.next());
    for (NamedTensor& entry : state)
      if (entry.name == name) entry.tensor = Tensor::from(shape, values);
  }
  model.load_state(state, "golden values");
}

// While it lives, kernels use one thread: to wake a second one takes longer than these tiny networks.
struct OneThread {
  OneThread() { kernels::set_threads(1); }
  ~OneThread() { kernels::set_threads(before); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;
  int before = kernels::threads();
};

// A network with an optimizer, driven over the golden batches.
class GoldenRun {
 public:
  GoldenRun(const std::string& optimizer_name, const Options& options, std::vector<std::int64_t> micro_batches,
            DType dtype, int steps, bool normalised = true, double clip_norm = 0)
      : network_(new GoldenNetwork(normalised)),
        model(std::unique_ptr<Module>(network_),
              {GoldenNetwork::height, GoldenNetwork::width, GoldenNetwork::channels, GoldenNetwork::classes}, dtype, 1),
        optimizer(make_optimizer(optimizer_name, model, options)),
        step_(model, *optimizer, {.clip_norm = clip_norm}),
        micro_batches_(std::move(micro_batches)) {
    for (std::int64_t size : micro_batches_) images_ += size;
    batches_ = golden_batches(steps, images_, dtype);
    set_golden_values(model);
  }

  // Step s = 0, 1, …; returns the mean loss before it.
  double step(int s, double lr) {
    double loss = 0;
    network_->active.clear();
    step_.run(lr, images_, std::ssize(micro_batches_), [&](const Pass& settings) {
      const GoldenBatch& batch = batches_[static_cast<std::size_t>(s)];
      std::int64_t first = 0;
      for (std::int64_t size : micro_batches_) {
        Tape tape;
        Pass pass = settings;
        pass.tape = &tape;
        pass.conv_engine = kernels::ConvEngine::im2col;  // a library would compile kernels for these tiny shapes
        const Variable logits = model.forward(pass, batch.images.slice(first, first + size));
        const Loss part = cross_entropy(pass, logits, batch.labels.slice(first, first + size),
                                        static_cast<double>(size) / static_cast<double>(images_));
        tape.backward({part.seed});
        if (pass.primary) loss += part.mean() * static_cast<double>(size) / static_cast<double>(images_);
        first += size;
      }
    });
    return loss;
  }

  const std::vector<bool>& active() const { return network_->active; }
  const std::vector<GoldenBatch>& batches() const { return batches_; }

 private:
  GoldenNetwork* network_;  // the model's

 public:
  Model model;
  std::unique_ptr<Optimizer> optimizer;

 private:
  TrainingStep step_;
  std::vector<std::int64_t> micro_batches_;
  std::int64_t images_ = 0;
  std::vector<GoldenBatch> batches_;
};

}  // namespace actgrad::test
