// A running maximum that remembers where it was found, for single numbers and for packs of them, lane by lane.
#pragma once

#include <limits>

#include "kernels/formulas.h"
#include "kernels/pack.h"

namespace actgrad::kernels {

// Integers beside a P, one per lane.
template <class P>
struct IndexOf {
  using type = decltype(P{} > P{});
};
template <>
struct IndexOf<float> {
  using type = int;
};
template <>
struct IndexOf<double> {
  using type = int;
};

// P is T or a pack of T.
template <class T, class P>
struct Maximum {
  using Index = typename IndexOf<P>::type;
  P value = P{} - std::numeric_limits<T>::infinity();
  Index winner{};  // where the maximum was found

  void offer(P candidate, int index) {
    const auto wins = formulas::is_new_maximum(candidate, value);
    value = wins ? candidate : value;
    winner = wins ? Index{} + index : winner;
  }
};

}  // namespace actgrad::kernels
