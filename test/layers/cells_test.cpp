// Gradient checks of the functions that learned optimizers are made of.
#include "layers/functions/activation.h"
#include "layers/functions/adam_candidates.h"
#include "layers/functions/add.h"
#include "layers/functions/feature_rows.h"
#include "layers/functions/lstm.h"
#include "test/operation_case.h"

using namespace actgrad;
using test::OperationCase;

namespace {

using Inputs = std::vector<Variable>;

Variable sum(Pass& pass, const std::vector<Variable>& terms) {
  Variable total = terms.front();
  for (std::size_t i = 1; i < terms.size(); ++i) total = add(pass, total, terms[i]);
  return total;
}

// inputs: decay, m, v, β̂, γ̂. The averages of squares and the corrections are made positive, as they always are.
OperationCase candidates_case(const std::string& name, std::int64_t candidates, std::int64_t n,
                              kernels::EpsilonPlace place, std::vector<int> results) {
  const Shape shape{candidates, n};
  return {
      "adam_candidates " + name, {{2 * candidates, n}, shape, shape, shape, shape}, [=](Pass& pass, const Inputs& in) {
        const auto positive = [&](const Variable& x) { return activate(pass, x, kernels::Activation::sigmoid); };
        const Tensor g = test::random_tensor({n}, in[0].value().dtype(), 60);
        const AdamCandidates after =
            adam_candidates(pass, in[0], g, {in[1], positive(in[2]), positive(in[3]), positive(in[4]), {}}, place);
        const Inputs all = {after.m, after.v, after.beta_hat, after.gamma_hat, after.candidates};
        Inputs chosen;
        for (int result : results) chosen.push_back(all[static_cast<std::size_t>(result)]);
        return sum(pass, chosen);
      }};
}

}  // namespace

TEST_CASE("gradients of activations") {
  for (const auto& [name, kind] : {std::pair{"sigmoid", kernels::Activation::sigmoid},
                                   {"tanh", kernels::Activation::tanh},
                                   {"elu", kernels::Activation::elu}})
    for (const Shape& shape : {Shape{3, 17}, Shape{1}})
      test::check({name, {shape}, [kind = kind](Pass& pass, const Inputs& in) { return activate(pass, in[0], kind); }});
}

TEST_CASE("gradients of functions of feature rows") {
  test::check({"feature_linear of two inputs", {{5, 3}, {3, 7}, {5, 2}, {2, 7}, {5}}, [](Pass& pass, const Inputs& in) {
                 return feature_linear(pass, {{in[0], in[1]}, {in[2], in[3]}}, in[4]);
               }});
  test::check({"feature_linear of one coordinate", {{1, 1}, {1, 1}, {1}}, [](Pass& pass, const Inputs& in) {
                 return feature_linear(pass, {{in[0], in[1]}}, in[2]);
               }});
  for (const Shape& shape : {Shape{3, 41}, Shape{1, 1}, Shape{20, 2}}) {
    test::check({"row_dot", {shape, shape}, [](Pass& pass, const Inputs& in) { return row_dot(pass, in[0], in[1]); }});
    test::check(
        {"descend", {shape, shape}, [](Pass& pass, const Inputs& in) { return descend(pass, in[0], 0.3, in[1]); }});
  }
  // A row of one coordinate is ±1 whatever its value: its gradient is 0, which says nothing.
  for (const Shape& shape : {Shape{3, 41}, Shape{20, 2}})
    test::check({"row_normalise", {shape}, [](Pass& pass, const Inputs& in) { return row_normalise(pass, in[0]); }});
}

TEST_CASE("gradients of an LSTM's elementwise part") {
  const auto lstm_case = [](const std::string& name, const Shape& c, auto pick) {
    return OperationCase{"lstm " + name, {{4 * c[0], c[1]}, c}, [=](Pass& pass, const Inputs& in) {
                           return pick(pass, lstm(pass, in[0], in[1], 1.0));
                         }};
  };
  test::check(lstm_case("both", {3, 19}, [](Pass& pass, const LstmState& s) { return add(pass, s.c, s.h); }));
  test::check(lstm_case("h", {1, 5}, [](Pass&, const LstmState& s) { return s.h; }));
  test::check(lstm_case("c", {2, 1}, [](Pass&, const LstmState& s) { return s.c; }));
}

TEST_CASE("gradients of HyperAdam's candidates") {
  using enum kernels::EpsilonPlace;
  test::check(candidates_case("all results", 3, 17, inside, {0, 1, 2, 3, 4}));
  test::check(candidates_case("the candidates", 2, 5, inside, {4}));
  test::check(candidates_case("epsilon outside", 2, 5, outside, {4, 0}));
  test::check(candidates_case("the averages", 1, 1, inside, {0, 1, 2, 3}));
}
