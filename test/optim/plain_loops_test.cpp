// Adan and LAMB against their definitions, written once more as plain loops over each parameter in double.
#include <cmath>

#include "kernels/elementwise.h"
#include "optim/optimizer.h"
#include "test/operation_case.h"

using namespace actgrad;

namespace {

using Vector = std::vector<double>;

// A parameter as the plain loops see it.
struct Plain {
  bool is_matrix;
  Vector p, g;
  Vector m, v, n, previous;  // what the definition keeps
};

double norm(const Vector& x) {
  double squares = 0;
  for (const double value : x) squares += value * value;
  return std::sqrt(squares);
}

double norm_of_gradients(const std::vector<Plain>& parameters) {
  Vector norms;
  for (const Plain& parameter : parameters) norms.push_back(norm(parameter.g));
  return norm(norms);
}

void scale_gradients(std::vector<Plain>& parameters, double factor) {
  for (Plain& parameter : parameters)
    for (double& g : parameter.g) g *= factor;
}

// Some steps with random gradients, at some of which clipping is active; `step(parameters, t)` is the definition.
template <class Step>
void check_against(const std::string& name, const Options& options, const Step& step) {
  const Options mlp = Options(model_options("mlp")).set("hidden", "9,5");
  auto model = make_model("mlp", {3, 2, 2, 4}, DType::float64, 1, mlp);
  auto optimizer = make_optimizer(name, *model, options);
  const std::vector<Parameter*>& parameters = model->parameters().list();
  std::vector<Plain> plain;
  for (const Parameter* parameter : parameters) {
    const Vector values = parameter->value().to_vector<double>(), zero(values.size());
    plain.push_back({parameter->shape.rank() >= 2, values, zero, zero, zero, zero, zero});
  }
  for (int t = 1; t <= 7; ++t) {
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      Tensor gradient = parameters[i]->variable.gradient_target().tensor;
      gradient.copy_from(
          test::random_tensor(parameters[i]->shape, DType::float64, 100 * static_cast<std::uint64_t>(t) + i));
      kernels::scale(gradient, t % 2 == 0 ? 0.01 : 1);
      plain[i].g = gradient.to_vector<double>();
    }
    optimizer->step(0.05);
    model->parameters().clear_gradients();
    step(plain, t);
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      CAPTURE(t, parameters[i]->name);
      const Vector found = parameters[i]->value().to_vector<double>();
      for (std::size_t j = 0; j < found.size(); ++j) CHECK(found[j] == Approx(plain[i].p[j]).epsilon(0).margin(1e-12));
    }
  }
}

}  // namespace

TEST_CASE("Adan with clipping, restarts and both kinds of weight decay follows its definition") {
  const bool proximal = GENERATE(true, false), decay_1d = GENERATE(true, false);
  const std::int64_t restart_every = GENERATE(0, 3);
  const double b1 = 0.98, b2 = 0.92, b3 = 0.99, eps = 1e-8, lr = 0.05, decay = 0.1, max_norm = 0.8;
  Options options(optimizer_options("adan"));
  options.set("weight-decay", decay).set("max-grad-norm", max_norm).set("proximal", proximal);
  options.set("decay-1d", decay_1d).set("restart-every", restart_every);
  check_against("adan", options, [&](std::vector<Plain>& parameters, int step) {
    const int t = restart_every == 0 ? step : (step - 1) % static_cast<int>(restart_every) + 1;
    scale_gradients(parameters, std::min(1.0, max_norm / (norm_of_gradients(parameters) + eps)));
    for (Plain& x : parameters) {
      if (t == 1) {
        x.m = x.v = x.n = Vector(x.p.size());
        x.previous = x.g;
      }
      const double wd = x.is_matrix || decay_1d ? decay : 0;
      for (std::size_t i = 0; i < x.p.size(); ++i) {
        const double d = x.g[i] - x.previous[i], z = x.g[i] + b2 * d;
        x.m[i] = b1 * x.m[i] + (1 - b1) * x.g[i];
        x.v[i] = b2 * x.v[i] + (1 - b2) * d;
        x.n[i] = b3 * x.n[i] + (1 - b3) * z * z;
        const double denominator = std::sqrt(x.n[i]) / std::sqrt(1 - std::pow(b3, t)) + eps;
        if (!proximal) x.p[i] *= 1 - lr * wd;
        x.p[i] -= lr / (1 - std::pow(b1, t)) * x.m[i] / denominator;
        x.p[i] -= lr * b2 / (1 - std::pow(b2, t)) * x.v[i] / denominator;
        if (proximal) x.p[i] /= 1 + lr * wd;
      }
      x.previous = x.g;
    }
  });
}

TEST_CASE("LAMB follows its definition: one trust ratio for each tensor that decays") {
  const bool corrected = GENERATE(true, false), decay_1d = GENERATE(true, false);
  const double trust_max = GENERATE(0.0, 0.5);
  const double weight_decay = GENERATE(0.2, 0.0), max_norm = GENERATE(1.0, 0.0);
  const double b1 = 0.9, b2 = 0.999, eps = 1e-6, lr = 0.05;
  Options options(optimizer_options("lamb"));
  options.set("weight-decay", weight_decay).set("max-grad-norm", max_norm).set("trust-max", trust_max);
  options.set("bias-correction", corrected).set("decay-1d", decay_1d);
  check_against("lamb", options, [&](std::vector<Plain>& parameters, int t) {
    if (max_norm > 0) scale_gradients(parameters, 1 / std::max(1.0, norm_of_gradients(parameters) / max_norm));
    const double c1 = corrected ? 1 - std::pow(b1, t) : 1, c2 = corrected ? 1 - std::pow(b2, t) : 1;
    for (Plain& x : parameters) {
      const double wd = x.is_matrix || decay_1d ? weight_decay : 0;
      Vector u(x.p.size());
      for (std::size_t i = 0; i < x.p.size(); ++i) {
        x.m[i] = b1 * x.m[i] + (1 - b1) * x.g[i];
        x.v[i] = b2 * x.v[i] + (1 - b2) * x.g[i] * x.g[i];
        u[i] = x.m[i] / c1 / (std::sqrt(x.v[i]) / std::sqrt(c2) + eps) + wd * x.p[i];
      }
      double ratio = 1;
      if (wd != 0) {
        if (norm(x.p) > 0 && norm(u) > 0) ratio = norm(x.p) / norm(u);
        if (trust_max > 0) ratio = std::min(ratio, trust_max);
      }
      for (std::size_t i = 0; i < x.p.size(); ++i) x.p[i] -= lr * ratio * u[i];
    }
  });
}
