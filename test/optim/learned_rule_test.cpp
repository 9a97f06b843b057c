// Learned optimizers on the tape: what HyperAdam's cells are bound to do whatever their weights, and the gradient of
// whole paths.
#include "optim/hyperadam/learned_rule.h"

#include <cmath>
#include <numeric>

#include "kernels/elementwise.h"
#include "layers/functions/cross_entropy.h"
#include "layers/model.h"
#include "optim/hyperadam/unroll.h"
#include "test/operation_case.h"

using namespace actgrad;
using test::element;
using test::random_tensor;

namespace {

using Settings = std::vector<std::pair<std::string, std::string>>;

std::unique_ptr<LearnedRule> rule_of(const std::string& name, DType dtype = DType::float64,
                                     const Settings& settings = {}, bool fused = false) {
  Options options(learned_rule_options(name));
  for (const auto& [option, text] : settings) options.set_text(option, text);
  return make_learned_rule(name, options, dtype, 7, {}, fused);
}

// Fills rows [begin, end) of the weight called `name`.
void fill(LearnedRule& rule, const std::string& name, double value, std::int64_t begin = 0, std::int64_t end = -1) {
  for (Parameter* parameter : rule.weights().list())
    if (parameter->name == name) {
      Tensor rows = parameter->value().slice(begin, end < 0 ? parameter->shape[0] : end);
      return kernels::fill(rows, value);
    }
  FAIL("no weight " << name);
}

double logit(double p) {
  return std::log(p / (1 - p));
}

// All weights 0 but for AdamCell's and WeightCell's biases.
std::unique_ptr<LearnedRule> constant_rule(double beta, double gamma) {
  auto rule = rule_of("hyperadam");
  Tensor weights = rule->weights().values();
  weights.fill_zero();
  fill(*rule, "adam_cell.bias", logit(beta), 0, 20);
  fill(*rule, "adam_cell.bias", logit(gamma), 20, 40);
  fill(*rule, "weight_cell.bias", 1.0 / 20);
  return rule;
}

Tensor scaled(const Tensor& x, double factor) {
  Tensor y = x.clone();
  kernels::scale(y, factor);
  return y;
}

bool all_finite(const RuleState& state) {
  for (const Variable& tensor : state.tensors)
    if (!kernels::all_finite(tensor.value())) return false;
  return true;
}

}  // namespace

TEST_CASE("HyperAdam has 5,380 weights and remembers 120 numbers per coordinate") {
  const auto rule = rule_of("hyperadam");
  CHECK(rule->weights().count() == 5380);
  const auto features = rule->state_features();
  CHECK(std::accumulate(features.begin(), features.end(), std::int64_t{0}) == 120);
}

TEST_CASE("HyperAdam with constant rates is Adam without epsilon") {
  const auto rule = constant_rule(0.9, 0.999);
  const std::int64_t n = 9;
  RuleState state = rule->initial_state(n);
  Pass pass;
  std::vector<double> m(n), v(n);
  for (int t = 1; t <= 6; ++t) {
    const Tensor g = random_tensor({n}, DType::float64, static_cast<std::uint64_t>(t));
    const Variable d = rule->step(pass, g, state);
    for (std::size_t i = 0; i < m.size(); ++i) {
      const double gradient = element(g, static_cast<std::int64_t>(i));
      m[i] = 0.9 * m[i] + 0.1 * gradient;
      v[i] = 0.999 * v[i] + 0.001 * gradient * gradient;
      const double adam = m[i] / (1 - std::pow(0.9, t)) / std::sqrt(v[i] / (1 - std::pow(0.999, t)));
      // WeightCell's ELU leaves 1/20 as it is.
      CHECK(element(d.value(), static_cast<std::int64_t>(i)) == Approx(adam).epsilon(1e-10));
    }
    // β̂ = 1 − βᵗ, γ̂ = 1 − γᵗ
    CHECK(element(state.tensors[4].value(), 3) == Approx(1 - std::pow(0.9, t)).epsilon(1e-10));
    CHECK(element(state.tensors[5].value(), 3) == Approx(1 - std::pow(0.999, t)).epsilon(1e-10));
  }
}

TEST_CASE("HyperAdam's steps do not depend on the gradient's scale") {
  for (const char* normalise : {"code", "paper", "follow-up"}) {
    const auto rule = rule_of("hyperadam", DType::float64, {{"normalise", normalise}});
    RuleState small = rule->initial_state(30), large = rule->initial_state(30);
    Pass pass;
    for (std::uint64_t t = 0; t < 5; ++t) {
      const Tensor g = random_tensor({30}, DType::float64, t);
      const Tensor d = rule->step(pass, g, small).value(), of_large = rule->step(pass, scaled(g, 1e3), large).value();
      CHECK(test::relative_difference(of_large, d) < 1e-9);
    }
  }
}

TEST_CASE("learned optimizers stay finite on gradients that are zero or underflow when squared") {
  for (const std::string& name : learned_rule_names())
    for (const double size : {0.0, 1e-42, 1e-30, 1e-20}) {
      CAPTURE(name, size);
      const auto rule = rule_of(name, DType::float32);
      RuleState state = rule->initial_state(40);
      Pass pass;
      for (std::uint64_t t = 0; t < 4; ++t) {
        const Tensor g = scaled(random_tensor({40}, DType::float32, t), size);
        const Tensor d = rule->step(pass, g, state).value();
        CHECK(kernels::all_finite(d));
        CHECK(all_finite(state));
        if (size == 0 && name == "hyperadam")
          for (std::int64_t i = 0; i < d.numel(); ++i) CHECK(element(d, i) == 0);
      }
      // The way back too.
      Path path = start_path(*rule, random_tensor({40}, DType::float32, 9));
      const Objective tiny = [&](const Tensor&, Tensor& g) {
        g.copy_from(scaled(random_tensor({40}, DType::float32, 3), size));
        return 0.0;
      };
      unroll_segment(*rule, tiny, 5, 0.005, SegmentLoss::mean, path);
      for (const Parameter* weight : rule->weights().list())
        if (weight->grad()) CHECK(kernels::all_finite(weight->grad()));
    }
}

namespace {

// The loss Σ g_k·w, whose gradient is g_k whatever w: the optimizee of a recorded sequence of gradients.
class Frozen {
 public:
  explicit Frozen(std::vector<Tensor> gradients) : gradients_(std::move(gradients)) {}
  Objective objective() {
    next_ = 0;
    return [this](const Tensor& w, Tensor& g) {
      g.copy_from(gradients_[next_++]);
      double sum = 0;
      for (std::int64_t i = 0; i < w.numel(); ++i) sum += w.data<double>()[i] * g.data<double>()[i];
      return sum;
    };
  }

 private:
  std::vector<Tensor> gradients_;
  std::size_t next_ = 0;
};

// The gradients that `objective` shows along a path of `rule`.
Frozen record(const LearnedRule& rule, const Objective& objective, const Tensor& start, std::int64_t steps, double lr) {
  std::vector<Tensor> gradients;
  Path path = start_path(rule, start);
  follow(
      rule,
      [&](const Tensor& w, Tensor& g) {
        const double loss = objective(w, g);
        gradients.push_back(g.clone());
        return loss;
      },
      steps, lr, path);
  return Frozen(std::move(gradients));
}

struct Segment {
  std::int64_t steps = 20;
  double lr = 0.05;  // ten times the usual: the loss's dependence on the weights is well above rounding
  SegmentLoss loss = SegmentLoss::mean;
  double h = 1e-6;  // of the differences
};

// Checks the segment's gradient with respect to the weights [offset in the flat buffer] that `chosen` names, against
// central differences.
void check_weights(LearnedRule& rule, Frozen& frozen, const Tensor& start, const Segment& segment,
                   const std::vector<std::int64_t>& chosen) {
  Path path = start_path(rule, start);
  unroll_segment(rule, frozen.objective(), segment.steps, segment.lr, segment.loss, path);
  const Tensor gradients = rule.weights().gradients();
  const auto loss = [&] {
    Path again = start_path(rule, start);
    const std::vector<double> losses = follow(rule, frozen.objective(), segment.steps, segment.lr, again);
    if (segment.loss == SegmentLoss::last) return losses.back();
    return std::accumulate(losses.begin(), losses.end(), 0.0) / static_cast<double>(losses.size());
  };
  double worst = 0, largest = 0;
  double* const weights = rule.weights().values().data<double>();
  for (std::int64_t i : chosen) {
    const double before = weights[i], h = segment.h;
    weights[i] = before + h;
    const double above = loss();
    weights[i] = before - h;
    const double below = loss();
    weights[i] = before;
    const double numeric = (above - below) / (2 * h), analytic = gradients.data<double>()[i];
    worst = std::max(worst, std::abs(numeric - analytic));
    largest = std::max(largest, std::abs(analytic));
  }
  CHECK(largest > 0);
  CHECK(worst < 1e-5 * largest);
}

// A valley whose sides differ in steepness by a factor of a hundred: loss ½ Σ aᵢ wᵢ².
double valley(const Tensor& w, Tensor& g) {
  double loss = 0;
  for (std::int64_t i = 0; i < w.numel(); ++i) {
    const double steepness = std::pow(100.0, static_cast<double>(i) / static_cast<double>(w.numel()));
    g.data<double>()[i] = steepness * w.data<double>()[i];
    loss += 0.5 * steepness * w.data<double>()[i] * w.data<double>()[i];
  }
  return loss;
}

std::vector<std::int64_t> all_weights(const LearnedRule& rule) {
  std::vector<std::int64_t> offsets;
  for (const Parameter* parameter : rule.weights().list())
    for (std::int64_t i = 0; i < parameter->numel(); ++i) offsets.push_back(parameter->offset + i);
  return offsets;
}

// Every `stride`-th of them.
std::vector<std::int64_t> some_weights(const LearnedRule& rule, std::size_t stride) {
  std::vector<std::int64_t> offsets;
  const auto all = all_weights(rule);
  for (std::size_t i = stride / 2; i < all.size(); i += stride) offsets.push_back(all[i]);
  return offsets;
}

}  // namespace

TEST_CASE("HyperAdam's fused step is its cells' step, and so is the way back") {
  for (const Settings& settings : {Settings{}, Settings{{"normalise", "paper"}, {"epsilon", "outside"}}})
    for (const DType dtype : {DType::float64, DType::float32})
      for (const std::int64_t n : {1, 64, 200}) {
        CAPTURE(n, name_of(dtype), settings.size());
        const double tolerance = dtype == DType::float64 ? 1e-11 : 2e-3;
        const auto cells = rule_of("hyperadam", dtype, settings), fused = rule_of("hyperadam", dtype, settings, true);
        const Tensor start = random_tensor({n}, dtype, 5);
        // The same gradients for both: a path of 35 steps, cut into segments, so that the state matters.
        const auto run = [&](LearnedRule& rule, std::vector<Tensor>& gradients) {
          std::uint64_t step = 0;
          const Objective noise = [&](const Tensor& w, Tensor& g) {
            g.copy_from(random_tensor({w.numel()}, dtype, 100 + step++));
            return 0.0;
          };
          Path path = start_path(rule, start);
          for (int segment = 0; segment < 3; ++segment) {
            unroll_segment(rule, noise, 10, 0.05, segment == 1 ? SegmentLoss::last : SegmentLoss::mean, path);
            gradients.push_back(rule.weights().gradients().clone());
          }
          follow(rule, noise, 5, 0.05, path);
          return path.w;
        };
        std::vector<Tensor> of_cells, of_fused;
        const Tensor w = run(*cells, of_cells);
        CHECK(test::relative_difference(run(*fused, of_fused), w) < tolerance);
        for (std::size_t i = 0; i < of_cells.size(); ++i)
          CHECK(test::relative_difference(of_fused[i], of_cells[i]) < tolerance);
      }
}

TEST_CASE("the gradient of 20 unrolled steps with respect to all 5,380 weights") {
  const auto rule = rule_of("hyperadam");
  const Tensor start = random_tensor({5}, DType::float64, 1);
  const Segment segment;
  Frozen frozen = record(*rule, valley, start, segment.steps, segment.lr);
  check_weights(*rule, frozen, start, segment, all_weights(*rule));
}

TEST_CASE("the gradient of unrolled steps in other readings and rules") {
  const Tensor start = random_tensor({7}, DType::float64, 2);
  const auto check = [&](const std::string& name, const Settings& settings, const Segment& segment) {
    CAPTURE(name);
    const auto rule = rule_of(name, DType::float64, settings);
    Frozen frozen = record(*rule, valley, start, segment.steps, segment.lr);
    check_weights(*rule, frozen, start, segment, some_weights(*rule, 37));
  };
  check("hyperadam", {{"normalise", "paper"}, {"epsilon", "outside"}}, {});
  check("hyperadam", {{"normalise", "follow-up"}, {"candidates", "3"}}, {});
  check("hyperadam", {{"lstm", "false"}}, {});
  check("hyperadam", {{"preprocessing", "false"}}, {});
  check("rnnprop", {}, {.loss = SegmentLoss::last});
  check("dm", {}, {});
}

TEST_CASE("the gradient of 20 unrolled steps of the MLP 784-20-10") {
  Options options(model_options("mlp"));
  options.set("hidden", "20");
  options.set("activation", "sigmoid");
  const auto model = make_model("mlp", {28, 28, 1, 10}, DType::float64, 3, options);
  const Tensor x = random_tensor({16, 28, 28, 1}, DType::float64, 4);
  const Tensor labels = Tensor::from<std::int32_t>({16}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5});
  ParameterSet& parameters = model->parameters();
  const Objective loss = [&](const Tensor& w, Tensor& g) {
    Tensor(parameters.values()).copy_from(w);
    Tape tape;
    Pass pass{.tape = &tape, .training = true};
    const Loss found = cross_entropy(pass, model->forward(pass, x), labels);
    parameters.clear_gradients();
    tape.backward({found.seed});
    g.copy_from(parameters.gradients());
    return found.mean();
  };
  const auto rule = rule_of("hyperadam", DType::float64, {}, /*fused=*/true);
  const Segment segment;
  const Tensor start = parameters.values().clone();
  Frozen frozen = record(*rule, loss, start, segment.steps, segment.lr);
  check_weights(*rule, frozen, start, segment, some_weights(*rule, 108));
}
