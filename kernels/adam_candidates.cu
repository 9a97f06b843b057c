#include "kernels/adam_candidates.h"

#include "kernels/cell_formulas.h"
#include "kernels/cell_targets.h"
#include "kernels/cuda/elementwise.cuh"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

template <class T>
struct Pointers {
  T *m, *v, *beta_hat, *gamma_hat;
  explicit Pointers(const AdamAverages& a)
      : m(a.m.data<T>()), v(a.v.data<T>()), beta_hat(a.beta_hat.data<T>()), gamma_hat(a.gamma_hat.data<T>()) {}
};

template <class T, EpsilonPlace place>
__global__ void forward_kernel(std::int64_t count, std::int64_t n, const T* logits, const T* g, Pointers<T> from,
                               Pointers<T> to, T* candidates) {
  for (std::int64_t e = cuda::first_element(); e < count; e += cuda::element_step()) {
    const T gradient = g[e % n];
    T m = from.m[e], v = from.v[e], beta_hat = from.beta_hat[e], gamma_hat = from.gamma_hat[e];
    formulas::move_average(vector_math::sigmoid(logits[e]), gradient, m, beta_hat);
    formulas::move_average(vector_math::sigmoid(logits[e + count]), gradient * gradient, v, gamma_hat);
    to.m[e] = m;
    to.v[e] = v;
    to.beta_hat[e] = beta_hat;
    to.gamma_hat[e] = gamma_hat;
    candidates[e] = formulas::adam_candidate<place>(m, v, beta_hat, gamma_hat);
  }
}

template <class T, EpsilonPlace place>
__global__ void backward_kernel(std::int64_t count, std::int64_t n, const T* logits, const T* g, Pointers<T> given,
                                const T* dcandidates, Pointers<T> from, Pointers<T> reached, CellPlace<T> to_logits,
                                CellPlace<T> to_m, CellPlace<T> to_v, CellPlace<T> to_beta, CellPlace<T> to_gamma) {
  for (std::int64_t e = cuda::first_element(); e < count; e += cuda::element_step()) {
    const T beta = vector_math::sigmoid(logits[e]), gamma = vector_math::sigmoid(logits[e + count]);
    const T gradient = g[e % n];
    T dm = given.m[e], dv = given.v[e], dbeta = given.beta_hat[e], dgamma = given.gamma_hat[e];
    formulas::add_candidate_gradient<place>(dcandidates[e], reached.m[e], reached.v[e], reached.beta_hat[e],
                                            reached.gamma_hat[e], dm, dv, dbeta, dgamma);
    to_logits.put(e, formulas::rate_gradient(beta, gradient, from.m[e], from.beta_hat[e], dm, dbeta));
    to_logits.put(e + count,
                  formulas::rate_gradient(gamma, gradient * gradient, from.v[e], from.gamma_hat[e], dv, dgamma));
    to_m.put(e, beta * dm);
    to_v.put(e, gamma * dv);
    to_beta.put(e, beta * dbeta);
    to_gamma.put(e, gamma * dgamma);
  }
}

template <class T>
void adam_candidates_forward_of(const Tensor& decay, const Tensor& g, const AdamAverages& before, EpsilonPlace place,
                                AdamAverages& after, Tensor& candidates) {
  const std::int64_t count = candidates.numel();
  if (count == 0) return;
  formulas::visit_place(place, [&]<EpsilonPlace known>() {
    cuda::launch(forward_kernel<T, known>, cuda::blocks_for(count), cuda::block_size, 0, cuda::stream(), count,
                 g.numel(), decay.data<T>(), g.data<T>(), Pointers<T>(before), Pointers<T>(after),
                 candidates.data<T>());
  });
}

template <class T>
void adam_candidates_backward_of(const Tensor& decay, const Tensor& g, const AdamAverages& before,
                                 const AdamAverages& after, EpsilonPlace place, const AdamAverages& dafter,
                                 const Tensor& dcandidates, GradientTarget ddecay, const AdamAverageTargets& dbefore) {
  const Tensor& like = before.m;
  const std::int64_t count = like.numel();
  if (count == 0) return;
  const AdamAverages given = {or_zeros(dafter.m, like), or_zeros(dafter.v, like), or_zeros(dafter.beta_hat, like),
                              or_zeros(dafter.gamma_hat, like)};
  const Tensor of_candidates = or_zeros(dcandidates, like);
  const CellTarget<T> logits(ddecay, decay), m(dbefore.m, like), v(dbefore.v, like), beta_hat(dbefore.beta_hat, like),
      gamma_hat(dbefore.gamma_hat, like);
  formulas::visit_place(place, [&]<EpsilonPlace known>() {
    cuda::launch(backward_kernel<T, known>, cuda::blocks_for(count), cuda::block_size, 0, cuda::stream(), count,
                 g.numel(), decay.data<T>(), g.data<T>(), Pointers<T>(given), of_candidates.data<T>(),
                 Pointers<T>(before), Pointers<T>(after), logits.place(), m.place(), v.place(), beta_hat.place(),
                 gamma_hat.place());
  });
}

}  // namespace

ACTGRAD_CUDA_KERNEL_BY_DTYPE(adam_candidates_forward, adam_candidates_forward_of);
ACTGRAD_CUDA_KERNEL_BY_DTYPE(adam_candidates_backward, adam_candidates_backward_of);

}  // namespace actgrad::kernels
