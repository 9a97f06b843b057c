#include "kernels/norms.h"

#include "kernels/dispatch.h"
#include "kernels/elementwise.h"
#include "kernels/flat.h"
#include "kernels/formulas.h"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

void check_norm(const Tensor& norm, const Tensor& like) {
  ACTGRAD_CHECK(norm.numel() == 1 && norm.dtype() == DType::float64 && norm.device() == like.device(),
                "a squared norm is one float64");
}

}  // namespace

void squared_norm(const Tensor& x, Tensor& result, Write mode) {
  check_norm(result, x);
  const WorkScope work("squared_norm", {.bytes = bytes_of(x), .flops = 2.0 * static_cast<double>(x.numel())});
  ACTGRAD_DISPATCH(squared_norm, x, x, result, mode);
  const double before = mode == Write::accumulate ? result.data<double>()[0] : 0;
  result.data<double>()[0] = before + sum_of_squares(x);
}

void clip_by_norm(Tensor& g, const Tensor& squared_norm, double max_norm, double eps) {
  check_norm(squared_norm, g);
  const WorkScope work("clip_by_norm", {.bytes = 2 * bytes_of(g), .flops = static_cast<double>(g.numel())});
  ACTGRAD_DISPATCH(clip_by_norm, g, g, squared_norm, max_norm, eps);
  scale(g, formulas::clip_factor(squared_norm.data<double>()[0], max_norm, eps));
}

void add_scaled_by_norm(Tensor& p, const Tensor& g, const Tensor& squared_norm, double rho) {
  check_like(p, g);
  check_norm(squared_norm, p);
  const WorkScope work("add_scaled_by_norm",
                       {.bytes = 2 * bytes_of(p) + bytes_of(g), .flops = 2.0 * static_cast<double>(p.numel())});
  ACTGRAD_DISPATCH(add_scaled_by_norm, p, p, g, squared_norm, rho);
  mix(p, 1, g, formulas::unit_factor(squared_norm.data<double>()[0], rho));
}

}  // namespace actgrad::kernels
