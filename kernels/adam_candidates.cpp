#include "kernels/adam_candidates.h"

#include "kernels/cell_formulas.h"
#include "kernels/cell_targets.h"
#include "kernels/dispatch.h"
#include "kernels/flat.h"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

void check_candidates(const Tensor& decay, const Tensor& g, const AdamAverages& averages) {
  const Shape shape = averages.m.shape();
  ACTGRAD_CHECK(shape.rank() == 2 && (decay.shape() == Shape{2 * shape[0], shape[1]}) && g.numel() == shape[1],
                decay.shape().to_string() + ", " + shape.to_string() + " and " + g.shape().to_string());
  for (const Tensor& other : {averages.v, averages.beta_hat, averages.gamma_hat}) check_like(averages.m, other);
}

template <class T>
struct Pointers {
  T *m, *v, *beta_hat, *gamma_hat;
  explicit Pointers(const AdamAverages& a)
      : m(a.m.data<T>()), v(a.v.data<T>()), beta_hat(a.beta_hat.data<T>()), gamma_hat(a.gamma_hat.data<T>()) {}
};

// body(e, i) for element e = row·n + i of each of `rows` rows.
template <class Body>
void for_each_of_rows(std::int64_t rows, std::int64_t n, const Body& body) {
  parallel_for(n, 1 + flat_grain / (8 * rows), [&](Range range, int) {
    const Body local = body;
    for (std::int64_t r = 0; r < rows; ++r)
#pragma omp simd
      for (std::int64_t i = range.begin; i < range.end; ++i) local(r * n + i, i);
  });
}

}  // namespace

void adam_candidates_forward(const Tensor& decay, const Tensor& g, const AdamAverages& before, EpsilonPlace place,
                             AdamAverages& after, Tensor& candidates) {
  check_candidates(decay, g, before);
  check_candidates(decay, g, after);
  check_like(before.m, candidates);
  ACTGRAD_DISPATCH(adam_candidates_forward, decay, decay, g, before, place, after, candidates);
  visit_floating(decay.dtype(), [&]<class T>() {
    formulas::visit_place(place, [&]<EpsilonPlace inside_or_outside>() {
      const std::int64_t count = candidates.numel();
      for_each_of_rows(candidates.dim(0), candidates.dim(1),
                       [=, from = Pointers<T>(before), to = Pointers<T>(after), logit = decay.data<T>(),
                        gradient = g.data<T>(), result = candidates.data<T>()](std::int64_t e, std::int64_t i) {
                         T m = from.m[e], v = from.v[e], beta_hat = from.beta_hat[e], gamma_hat = from.gamma_hat[e];
                         formulas::move_average(vector_math::sigmoid(logit[e]), gradient[i], m, beta_hat);
                         formulas::move_average(vector_math::sigmoid(logit[e + count]), gradient[i] * gradient[i], v,
                                                gamma_hat);
                         to.m[e] = m;
                         to.v[e] = v;
                         to.beta_hat[e] = beta_hat;
                         to.gamma_hat[e] = gamma_hat;
                         result[e] = formulas::adam_candidate<inside_or_outside>(m, v, beta_hat, gamma_hat);
                       });
    });
  });
}

void adam_candidates_backward(const Tensor& decay, const Tensor& g, const AdamAverages& before,
                              const AdamAverages& after, EpsilonPlace place, const AdamAverages& dafter,
                              const Tensor& dcandidates, GradientTarget ddecay, const AdamAverageTargets& dbefore) {
  check_candidates(decay, g, before);
  check_candidates(decay, g, after);
  ACTGRAD_DISPATCH(adam_candidates_backward, decay, decay, g, before, after, place, dafter, dcandidates, ddecay,
                   dbefore);
  const Tensor& like = before.m;
  const AdamAverages given = {or_zeros(dafter.m, like), or_zeros(dafter.v, like), or_zeros(dafter.beta_hat, like),
                              or_zeros(dafter.gamma_hat, like)};
  const Tensor of_candidates = or_zeros(dcandidates, like);
  visit_floating(decay.dtype(), [&]<class T>() {
    const std::int64_t count = like.numel();
    const CellTarget<T> logits(ddecay, decay), m(dbefore.m, like), v(dbefore.v, like), beta_hat(dbefore.beta_hat, like),
        gamma_hat(dbefore.gamma_hat, like);
    formulas::visit_place(place, [&]<EpsilonPlace inside_or_outside>() {
      for_each_of_rows(
          like.dim(0), like.dim(1),
          [=, d = Pointers<T>(given), from = Pointers<T>(before), reached = Pointers<T>(after), logit = decay.data<T>(),
           gradient = g.data<T>(), dresult = of_candidates.data<T>(), to_logits = logits.place(), to_m = m.place(),
           to_v = v.place(), to_beta = beta_hat.place(), to_gamma = gamma_hat.place()](std::int64_t e, std::int64_t i) {
            const T beta = vector_math::sigmoid(logit[e]), gamma = vector_math::sigmoid(logit[e + count]);
            T dm = d.m[e], dv = d.v[e], dbeta = d.beta_hat[e], dgamma = d.gamma_hat[e];
            formulas::add_candidate_gradient<inside_or_outside>(dresult[e], reached.m[e], reached.v[e],
                                                                reached.beta_hat[e], reached.gamma_hat[e], dm, dv,
                                                                dbeta, dgamma);
            const T of_beta = formulas::rate_gradient(beta, gradient[i], from.m[e], from.beta_hat[e], dm, dbeta);
            const T of_gamma =
                formulas::rate_gradient(gamma, gradient[i] * gradient[i], from.v[e], from.gamma_hat[e], dv, dgamma);
            to_logits.put(e, of_beta);
            to_logits.put(e + count, of_gamma);
            to_m.put(e, beta * dm);
            to_v.put(e, gamma * dv);
            to_beta.put(e, beta * dbeta);
            to_gamma.put(e, gamma * dgamma);
          });
    });
  });
}

}  // namespace actgrad::kernels
