#include "kernels/gradient_encodings.h"

#include "kernels/dispatch.h"
#include "kernels/flat.h"
#include "kernels/gradient_encoding_formulas.h"
#include "kernels/registry.h"

namespace actgrad::kernels {
namespace {

void check_features(const Tensor& g, const Tensor& features) {
  ACTGRAD_CHECK((features.shape() == Shape{2, g.numel()}), features.shape().to_string());
}

}  // namespace

void log_encoding(const Tensor& g, Tensor& features) {
  check_features(g, features);
  ACTGRAD_DISPATCH(log_encoding, g, g, features);
  visit_floating(g.dtype(), [&]<class T>() {
    for_each_element(g.numel(), [n = g.numel(), from = g.data<T>(), to = features.data<T>()](std::int64_t i) {
      to[i] = formulas::log_size(from[i]);
      to[i + n] = formulas::clipped_sign(from[i]);
    });
  });
}

void rms_encoding(const Tensor& g, const RmsEncoding& step, Tensor& m, Tensor& v, Tensor& features) {
  check_features(g, features);
  ACTGRAD_CHECK(m.numel() == g.numel() && v.numel() == g.numel(), m.shape().to_string());
  ACTGRAD_DISPATCH(rms_encoding, g, g, step, m, v, features);
  visit_floating(g.dtype(), [&]<class T>() {
    for_each_element(g.numel(), [n = g.numel(), k = formulas::rms_constants<T>(step), from = g.data<T>(),
                                 first = m.data<T>(), second = v.data<T>(), to = features.data<T>()](std::int64_t i) {
      formulas::rms_features(from[i], first[i], second[i], to[i], to[i + n], k);
    });
  });
}

}  // namespace actgrad::kernels
