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
  formulas::Averages<T> load(std::int64_t e) const { return {m[e], v[e], beta_hat[e], gamma_hat[e]}; }
  void store(std::int64_t e, const formulas::Averages<T>& a) const {
    m[e] = a.m;
    v[e] = a.v;
    beta_hat[e] = a.beta_hat;
    gamma_hat[e] = a.gamma_hat;
  }
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
    const std::int64_t count = candidates.numel();
    for_each_of_rows(candidates.dim(0), candidates.dim(1),
                     [=, from = Pointers<T>(before), to = Pointers<T>(after), logit = decay.data<T>(),
                      gradient = g.data<T>(), result = candidates.data<T>()](std::int64_t e, std::int64_t i) {
                       const T beta = vector_math::sigmoid(logit[e]), gamma = vector_math::sigmoid(logit[e + count]);
                       const auto moved = formulas::moved_averages(beta, gamma, gradient[i], from.load(e));
                       to.store(e, moved);
                       result[e] = formulas::adam_candidate(moved, place);
                     });
  });
}

void adam_candidates_backward(const AdamAverages& dafter, const Tensor& dcandidates, const Tensor& decay,
                              const Tensor& g, const AdamAverages& before, const AdamAverages& after,
                              EpsilonPlace place, GradientTarget ddecay, const AdamAverageTargets& dbefore) {
  check_candidates(decay, g, before);
  check_candidates(decay, g, after);
  ACTGRAD_DISPATCH(adam_candidates_backward, decay, dafter, dcandidates, decay, g, before, after, place, ddecay,
                   dbefore);
  const Tensor& like = before.m;
  const AdamAverages given = {or_zeros(dafter.m, like), or_zeros(dafter.v, like), or_zeros(dafter.beta_hat, like),
                              or_zeros(dafter.gamma_hat, like)};
  const Tensor of_candidates = or_zeros(dcandidates, like);
  visit_floating(decay.dtype(), [&]<class T>() {
    const std::int64_t count = like.numel();
    const CellTarget<T> logits(ddecay, decay), m(dbefore.m, like), v(dbefore.v, like), beta_hat(dbefore.beta_hat, like),
        gamma_hat(dbefore.gamma_hat, like);
    const auto add = [](T* to, bool adds, T value) { *to = value + (adds ? *to : T(0)); };
    for_each_of_rows(
        like.dim(0), like.dim(1),
        [=, d = Pointers<T>(given), from = Pointers<T>(before), reached = Pointers<T>(after), logit = decay.data<T>(),
         gradient = g.data<T>(), dresult = of_candidates.data<T>(), to_logits = logits.to, logits_add = logits.adds,
         to_m = m.to, m_adds = m.adds, to_v = v.to, v_adds = v.adds, to_beta = beta_hat.to, beta_adds = beta_hat.adds,
         to_gamma = gamma_hat.to, gamma_adds = gamma_hat.adds](std::int64_t e, std::int64_t i) {
          const T beta = vector_math::sigmoid(logit[e]), gamma = vector_math::sigmoid(logit[e + count]);
          auto whole = formulas::candidate_gradient(dresult[e], reached.load(e), place);
          const auto own = d.load(e);
          whole = {whole.m + own.m, whole.v + own.v, whole.beta_hat + own.beta_hat, whole.gamma_hat + own.gamma_hat};
          const auto back = formulas::decay_gradient(whole, beta, gamma, gradient[i], from.load(e));
          add(to_logits + e, logits_add, back.beta);
          add(to_logits + e + count, logits_add, back.gamma);
          add(to_m + e, m_adds, back.before.m);
          add(to_v + e, v_adds, back.before.v);
          add(to_beta + e, beta_adds, back.before.beta_hat);
          add(to_gamma + e, gamma_adds, back.before.gamma_hat);
        });
  });
}

}  // namespace actgrad::kernels
