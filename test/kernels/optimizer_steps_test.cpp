#include "kernels/optimizer_steps.h"

#include <functional>

#include "core/dtype.h"
#include "test/kernels/values.h"

using namespace actgrad;
using namespace actgrad::kernels;
using namespace actgrad::test;

namespace {

template <class T>
Tensor scalar(double value) {
  return Tensor::from<T>({1}, {static_cast<T>(value)});
}

// The whole of p as one matrix with these rates for its columns.
AdaActPieces matrix(const Tensor& p, const Tensor& rates) {
  return {{{0, p.numel(), rates.numel(), 0}}, p.device()};
}

template <class T>
double item(const Tensor& x) {
  return static_cast<double>(x.data<T>()[0]);
}

// Three steps from p = 1 with gradients 0.5, −0.2, 0.3; step(p, g, t) with t from 1.
template <class T>
void check_trajectory(const std::vector<double>& golden, const std::function<void(Tensor&, const Tensor&, int)>& step) {
  const double tolerance = sizeof(T) == 8 ? 1e-8 : 1e-6;
  const std::vector<double> gradients = {0.5, -0.2, 0.3};
  Tensor p = scalar<T>(1);
  for (int t = 1; t <= 3; ++t) {
    const auto i = static_cast<std::size_t>(t - 1);
    step(p, scalar<T>(gradients[i]), t);
    CHECK(item<T>(p) == Approx(golden[i]).epsilon(0).margin(tolerance));
  }
}

template <class T>
void check_sgd(bool nesterov, const std::vector<double>& golden) {
  Tensor buffer = scalar<T>(1e30);  // the first step must not read it
  check_trajectory<T>(golden, [&](Tensor& p, const Tensor& g, int t) {
    sgd_step(
        p, g, buffer,
        SgdStep{
            .lr = 0.1, .momentum = 0.9, .dampening = 0, .weight_decay = 5e-4, .nesterov = nesterov, .first = t == 1});
  });
}

template <class T>
void check_adam(bool decoupled, double weight_decay, const std::vector<double>& golden) {
  Tensor m = scalar<T>(0), v = scalar<T>(0);
  check_trajectory<T>(golden, [&](Tensor& p, const Tensor& g, int t) {
    adam_step(p, g, m, v,
              AdamStep{.lr = 1e-3,
                       .beta1 = 0.9,
                       .beta2 = 0.999,
                       .eps = 1e-8,
                       .weight_decay = weight_decay,
                       .decoupled = decoupled,
                       .correction1 = 1 - std::pow(0.9, t),
                       .correction2 = 1 - std::pow(0.999, t)});
  });
}

// Two AdaAct steps on the Linear 2→1 of algorithms.md §1.6: weights (1, 2) and bias (1) as columns of [W | b].
template <class T>
void check_adaact_golden() {
  const double tolerance = sizeof(T) == 8 ? 1e-8 : 1e-6;
  Tensor w = Tensor::from<T>({1, 2}, {T(0.5), T(-0.3)}), b = scalar<T>(0.1);
  Tensor m = Tensor::zeros({1, 2}, w.dtype()), mb = Tensor::zeros({1}, w.dtype());
  Tensor rate = Tensor::empty({2}, w.dtype()), rate_b = scalar<T>(1 / (1 + 1e-8));
  const std::vector<std::vector<double>> moment = {{5, 2}, {2.125, 1}},
                                         gradient = {{0.2, -0.4, 0.1}, {-0.1, 0.3, 0.05}};
  const std::vector<std::vector<double>> golden = {{0.490955728, -0.271655729, 0.089980000},
                                                   {0.488626520, -0.269022773, 0.082593583}};
  std::vector<double> v = {0, 0};
  for (std::size_t i = 0; i < 2; ++i) {
    const double t = static_cast<double>(i + 1);
    for (std::size_t j = 0; j < 2; ++j) v[j] = 0.999 * v[j] + 0.001 * moment[i][j];
    adaact_rate(Tensor::from<T>({2}, {T(v[0]), T(v[1])}),
                AdaActStep{.correction2 = 1 - std::pow(0.999, t), .eps = 1e-8}, rate);
    const AdaActStep s{.lr = 0.1, .beta1 = 0.9, .weight_decay = 0.002, .correction1 = 1 - std::pow(0.9, t)};
    adaact_step(w, Tensor::from<T>({1, 2}, {T(gradient[i][0]), T(gradient[i][1])}), m, rate, matrix(w, rate), s);
    Tensor gb = scalar<T>(gradient[i][2]);
    adaact_step(b, gb, mb, rate_b, matrix(b, rate_b), s);
    CHECK(distance(w, {golden[i][0], golden[i][1]}) < tolerance);
    CHECK(distance(b, {golden[i][2]}) < tolerance);
  }
}

}  // namespace

TEST_CASE("SGD, Adam and AdamW follow the golden trajectories") {
  const std::vector<double> sgd = {0.949950000, 0.924857502, 0.872228012};
  const std::vector<double> nesterov = {0.904905000, 0.902278534, 0.824869719};
  const std::vector<double> adam = {0.999000000, 0.998653261, 0.998107848};
  const std::vector<double> adamw = {0.998990000, 0.998634404, 0.998079978};
  check_sgd<double>(false, sgd);
  check_sgd<float>(false, sgd);
  check_sgd<double>(true, nesterov);
  check_sgd<float>(true, nesterov);
  check_adam<double>(false, 5e-4, adam);
  check_adam<float>(false, 5e-4, adam);
  check_adam<double>(true, 1e-2, adamw);
  check_adam<float>(true, 1e-2, adamw);
}

TEST_CASE("AdaAct follows the golden values") {
  check_adaact_golden<double>();
  check_adaact_golden<float>();
}

TEST_CASE("plain SGD needs no buffer, dampening spares the first step") {
  Tensor p = scalar<double>(1), none;
  sgd_step(p, scalar<double>(0.5), none,
           SgdStep{.lr = 0.1, .momentum = 0, .dampening = 0, .weight_decay = 0.1, .nesterov = false, .first = false});
  CHECK(item<double>(p) == Approx(1 - 0.1 * 0.6));

  Tensor q = scalar<double>(1), buffer = scalar<double>(0);
  SgdStep s{.lr = 0.1, .momentum = 0.9, .dampening = 0.4, .weight_decay = 0, .nesterov = false, .first = true};
  sgd_step(q, scalar<double>(0.5), buffer, s);
  CHECK(item<double>(buffer) == 0.5);
  s.first = false;
  sgd_step(q, scalar<double>(1), buffer, s);
  CHECK(item<double>(buffer) == Approx(0.9 * 0.5 + 0.6));
  CHECK(item<double>(q) == Approx(1 - 0.1 * 0.5 - 0.1 * 1.05));
}

TEMPLATE_TEST_CASE("steps over long arrays equal steps on their elements", "", float, double) {
  const std::int64_t n = 100003;  // several threads and a tail
  const Tensor g = random_tensor<TestType>({n}, 2), p0 = random_tensor<TestType>({n}, 1);
  const auto element = [](const Tensor& x, std::int64_t i) { return x.slice(i, i + 1).clone(); };
  SECTION("SGD") {
    const bool nesterov = GENERATE(false, true);
    const SgdStep s{
        .lr = 0.1, .momentum = 0.9, .dampening = 0.1, .weight_decay = 0.01, .nesterov = nesterov, .first = false};
    Tensor p = p0.clone(), buffer = random_tensor<TestType>({n}, 3);
    const Tensor buffer0 = buffer.clone();
    sgd_step(p, g, buffer, s);
    for (const std::int64_t i : {std::int64_t{0}, std::int64_t{33333}, std::int64_t{50001}, n - 1}) {
      Tensor pi = element(p0, i), bi = element(buffer0, i);
      sgd_step(pi, element(g, i), bi, s);
      CHECK(item<TestType>(element(p, i)) == Approx(item<TestType>(pi)).epsilon(1e-6));
      CHECK(item<TestType>(element(buffer, i)) == Approx(item<TestType>(bi)).epsilon(1e-6));
    }
  }
  SECTION("Adam") {
    const bool decoupled = GENERATE(false, true);
    const AdamStep s{.lr = 0.1,
                     .beta1 = 0.9,
                     .beta2 = 0.99,
                     .eps = 1e-8,
                     .weight_decay = 0.01,
                     .decoupled = decoupled,
                     .correction1 = 0.3,
                     .correction2 = 0.2};
    Tensor p = p0.clone(), m = random_tensor<TestType>({n}, 3), v = random_tensor<TestType>({n}, 4, 0, 1);
    const Tensor m0 = m.clone(), v0 = v.clone();
    adam_step(p, g, m, v, s);
    for (const std::int64_t i : {std::int64_t{0}, std::int64_t{33333}, std::int64_t{50001}, n - 1}) {
      Tensor pi = element(p0, i), mi = element(m0, i), vi = element(v0, i);
      adam_step(pi, element(g, i), mi, vi, s);
      CHECK(item<TestType>(element(p, i)) == Approx(item<TestType>(pi)).epsilon(1e-5));
      CHECK(item<TestType>(element(v, i)) == Approx(item<TestType>(vi)).epsilon(1e-6));
    }
  }
}

TEST_CASE("AdaAct broadcasts one rate per column") {
  const std::int64_t columns = GENERATE(1, 9, 27, 144, 4608);
  const std::int64_t rows = columns == 1 ? 100003 : 37;
  Tensor p = random_tensor<double>({rows, columns}, 1), m = random_tensor<double>({rows, columns}, 2);
  const Tensor g = random_tensor<double>({rows, columns}, 3), rate = random_tensor<double>({columns}, 4, 0.5, 2);
  const std::vector<double> p0 = doubles(p), m0 = doubles(m), gradient = doubles(g), rates = doubles(rate);
  std::vector<double> expected_p, expected_m;
  for (std::size_t i = 0; i < p0.size(); ++i) {
    expected_m.push_back(0.9 * m0[i] + 0.1 * gradient[i]);
    expected_p.push_back((1 - 0.1 * 0.02) * p0[i] -
                         0.1 * (expected_m[i] / 0.19) * rates[i % static_cast<std::size_t>(columns)]);
  }
  adaact_step(p, g, m, rate, matrix(p, rate),
              AdaActStep{.lr = 0.1, .beta1 = 0.9, .weight_decay = 0.02, .correction1 = 0.19});
  CHECK(distance(m, expected_m) < 1e-14);
  CHECK(distance(p, expected_p) < 1e-14);
}

TEST_CASE("AdaAct's pieces have rates of their own, and what lies between them stays") {
  const std::int64_t size = 70000;  // several threads
  Tensor p = random_tensor<double>({size}, 1), m = random_tensor<double>({size}, 2);
  const Tensor g = random_tensor<double>({size}, 3), rates = random_tensor<double>({10}, 4, 0.5, 2);
  const std::vector<double> p0 = doubles(p), m0 = doubles(m), gradient = doubles(g), rate = doubles(rates);
  const AdaActPieces pieces({{3, 3 + 7 * 9000, 7, 2}, {63010, 63020, 1, -1}, {64000, 69000, 1, 9, false}}, Device{});
  adaact_step(p, g, m, rates, pieces, AdaActStep{.lr = 0.1, .beta1 = 0.9, .weight_decay = 0.02, .correction1 = 0.19});
  std::vector<double> expected_p = p0, expected_m = m0;
  for (const AdaActPiece& piece : pieces.list())
    for (std::int64_t at = piece.begin; at < piece.end; ++at) {
      const auto i = static_cast<std::size_t>(at);
      const auto column = static_cast<std::size_t>(piece.rate + (at - piece.begin) % piece.columns);
      double update = gradient[i];
      if (piece.rate >= 0) {
        expected_m[i] = 0.9 * m0[i] + 0.1 * gradient[i];
        update = expected_m[i] / 0.19 * rate[column];
      }
      expected_p[i] = (piece.decays ? 1 - 0.1 * 0.02 : 1) * p0[i] - 0.1 * update;
    }
  CHECK(distance(m, expected_m) < 1e-14);
  CHECK(distance(p, expected_p) < 1e-14);
}

TEMPLATE_TEST_CASE("a dead input moves nothing, also without epsilon", "", float, double) {
  Tensor p = random_tensor<TestType>({40, 18}, 1), m = Tensor::zeros({40, 18}, p.dtype());
  Tensor v = random_tensor<TestType>({18}, 2, 0.5, 1), rate = Tensor::empty({18}, p.dtype());
  Tensor g = random_tensor<TestType>({40, 18}, 3);
  v.template data<TestType>()[4] = 0;
  for (int row = 0; row < 40; ++row) g.template data<TestType>()[row * 18 + 4] = 0;
  const Tensor before = p.clone();
  adaact_rate(v, AdaActStep{.correction2 = 0.5}, rate);
  CHECK(rate.template data<TestType>()[4] == 0);
  adaact_step(p, g, m, rate, matrix(p, rate),
              AdaActStep{.lr = 0.1, .beta1 = 0.9, .weight_decay = 0, .correction1 = 0.1});
  for (int row = 0; row < 40; ++row) {
    CHECK(p.template data<TestType>()[row * 18 + 4] == before.template data<TestType>()[row * 18 + 4]);
    CHECK(p.template data<TestType>()[row * 18 + 5] != before.template data<TestType>()[row * 18 + 5]);
  }

  Tensor q = random_tensor<TestType>({100}, 1), first = Tensor::zeros({100}, q.dtype()), second = first.clone();
  const Tensor q0 = q.clone(), zero = first.clone();
  adam_step(q, zero, first, second,
            AdamStep{.lr = 0.1,
                     .beta1 = 0.9,
                     .beta2 = 0.999,
                     .eps = 0,
                     .weight_decay = 0,
                     .decoupled = false,
                     .correction1 = 0.1,
                     .correction2 = 0.001});
  CHECK(distance(q, q0) == 0);
}

TEST_CASE("the rate of AdaAct clamps the corrected moment") {
  const Tensor v = Tensor::from<double>({4}, {0, 0.125, 0.5, 8});
  Tensor rate = Tensor::empty({4}, DType::float64);
  adaact_rate(v, AdaActStep{.correction2 = 0.5, .eps = 0.1, .low = 0.25, .high = 4}, rate);
  CHECK(distance(rate, {1 / 0.6, 1 / 0.6, 1 / 1.1, 1 / 2.1}) < 1e-14);
}

TEST_CASE("NaN gradients show in the parameters") {
  Tensor p = scalar<float>(1), m = scalar<float>(0), v = scalar<float>(0);
  adam_step(p, scalar<float>(NAN), m, v,
            AdamStep{.lr = 0.1,
                     .beta1 = 0.9,
                     .beta2 = 0.999,
                     .eps = 0,
                     .weight_decay = 0,
                     .decoupled = false,
                     .correction1 = 0.1,
                     .correction2 = 0.001});
  CHECK(std::isnan(item<float>(p)));
  Tensor rate = scalar<float>(0);
  adaact_rate(scalar<float>(NAN), AdaActStep{.correction2 = 0.5}, rate);
  CHECK(std::isnan(item<float>(rate)));
}

TEST_CASE("optimizer steps refuse arrays that do not fit") {
  Tensor p = random_tensor<float>({6}, 1), m = p.clone(), none;
  const Tensor g = random_tensor<float>({6}, 2), shorter = random_tensor<float>({5}, 2);
  const SgdStep s{.lr = 0.1, .momentum = 0.9, .dampening = 0, .weight_decay = 0, .nesterov = false, .first = true};
  CHECK_THROWS_AS(sgd_step(p, shorter, m, s), InternalError);
  CHECK_THROWS_AS(sgd_step(p, g, none, s), InternalError);
  const Tensor rates = random_tensor<float>({4}, 1);
  const AdaActStep a{.lr = 0.1};
  for (const AdaActPiece& wrong : {AdaActPiece{0, 6, 4, 0}, {0, 6, 3, 2}, {0, 7, 1, 0}, {-1, 5, 1, 0}, {0, 4, 0, 0}})
    CHECK_THROWS_AS(adaact_step(p, g, m, rates, AdaActPieces({wrong}, p.device()), a), InternalError);
}
