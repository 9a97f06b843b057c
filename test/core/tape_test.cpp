#include "core/tape.h"

#include "core/memory.h"
#include "test/catch.h"

using namespace actgrad;

namespace {

// The one function of these tests: y = factor·a + b, elementwise, which shows all that the tape does.
Variable scaled_sum(Tape& tape, const Variable& a, double factor, const Variable& b) {
  const auto add = [](const GradientTarget& target, const Tensor& gradient, double scale) {
    for (std::int64_t i = 0; i < gradient.numel(); ++i) {
      double& value = target.tensor.data<double>()[i];
      value = (target.mode == Write::accumulate ? value : 0) + scale * gradient.data<double>()[i];
    }
  };
  Tensor y = Tensor::empty(a.value().shape(), DType::float64);
  for (std::int64_t i = 0; i < y.numel(); ++i)
    y.data<double>()[i] = factor * a.value().data<double>()[i] + b.value().data<double>()[i];
  return tape.record(y, [=](const Tensor& gradient) {
    if (a.requires_grad()) add(a.gradient_target(), gradient, factor);
    if (b.requires_grad()) add(b.gradient_target(), gradient, 1);
  });
}

Tensor vector(std::vector<double> values) {
  return Tensor::from(Shape{static_cast<std::int64_t>(values.size())}, values);
}
Variable leaf(std::vector<double> values) {
  return Variable(vector(std::move(values)), true);
}
using Values = std::vector<double>;

}  // namespace

TEST_CASE("gradients flow back through recorded functions") {
  Tape tape;
  const Variable x = leaf({1, 2}), y = leaf({3, 4});
  const Variable z = scaled_sum(tape, x, 2, y);     // 2x + y
  const Variable loss = scaled_sum(tape, z, 5, y);  // 10x + 6y
  CHECK(loss.value().to_vector<double>() == Values{28, 44});
  CHECK(tape.size() == 2);
  tape.backward({{loss, vector({1, 10})}});
  CHECK(x.grad().to_vector<double>() == Values{10, 100});
  CHECK(y.grad().to_vector<double>() == Values{6, 60});
  CHECK(tape.size() == 0);
}

TEST_CASE("a variable used several times, also twice in one function, adds up its gradients") {
  Tape tape;
  const Variable x = leaf({1});
  const Variable y = scaled_sum(tape, x, 2, x);  // 3x
  const Variable z = scaled_sum(tape, y, 4, y);  // 15x
  const Variable loss = scaled_sum(tape, z, 1, x);
  tape.backward({{loss, vector({1})}});
  CHECK(x.grad().to_vector<double>() == Values{16});
}

TEST_CASE("a second pass adds to a leaf until its gradient is forgotten") {
  const Variable x = leaf({1});
  const auto pass = [&] {
    Tape tape;
    const Variable y = scaled_sum(tape, x, 2, x);
    tape.backward({{y, vector({1})}});
  };
  CHECK_FALSE(x.has_grad());
  CHECK_FALSE(x.grad());
  pass();
  pass();
  CHECK(x.grad().to_vector<double>() == Values{6});
  Variable copy = x;  // shares the gradient
  copy.clear_grad();
  CHECK_FALSE(x.has_grad());
  pass();
  CHECK(x.grad().to_vector<double>() == Values{3});
}

TEST_CASE("variables that need no gradient get none") {
  Tape tape;
  const Variable x = leaf({1}), constant(vector({5}));
  const Variable y = scaled_sum(tape, constant, 2, x);
  tape.backward({{y, vector({1})}});
  CHECK(x.grad().to_vector<double>() == Values{1});
  CHECK_FALSE(constant.requires_grad());
  CHECK_FALSE(constant.has_grad());
  CHECK_THROWS_AS(constant.gradient_target(), InternalError);
}

TEST_CASE("a leaf with storage of its own writes there") {
  const Tensor storage = vector({77, 77});  // stale: must be overwritten
  const Variable x(vector({1, 2}), storage);
  CHECK_FALSE(x.has_grad());
  Tape tape;
  tape.backward({{scaled_sum(tape, x, 3, x), vector({1, 2})}});
  CHECK(storage.to_vector<double>() == Values{4, 8});
  CHECK_THROWS_AS(Variable(vector({1, 2}), vector({1})), InternalError);
}

TEST_CASE("the backward pass starts from several seeds") {
  Tape tape;
  const Variable x = leaf({1});
  const Variable y = scaled_sum(tape, x, 2, x);  // 3x
  const Variable z = scaled_sum(tape, y, 4, x);  // 13x
  SECTION("at the end and in the middle: the seed in the middle is added to") {
    const Tensor middle = vector({100});
    tape.backward({{y, middle}, {z, vector({1})}});
    CHECK(x.grad().to_vector<double>() == Values{13 + 300});
    CHECK(middle.to_vector<double>() == Values{100});  // the caller's tensor is left alone
  }
  SECTION("in the middle only: functions behind it are skipped") {
    tape.backward({{y, vector({1})}});
    CHECK(x.grad().to_vector<double>() == Values{3});
    CHECK_FALSE(z.has_grad());
  }
  SECTION("the same seed twice is refused") {
    CHECK_THROWS_AS(tape.backward({{y, vector({1})}, {y, vector({1})}}), InternalError);
  }
  SECTION("a seed of another shape is refused") {
    CHECK_THROWS_AS(tape.backward({{y, vector({1, 2})}}), InternalError);
  }
  SECTION("a seed that needs no gradient is refused") {
    CHECK_THROWS_AS(tape.backward({{Variable(vector({1})), vector({1})}}), InternalError);
  }
}

TEST_CASE("each record is forgotten, with what it holds, as soon as it has run") {
  Tape tape;
  const Variable x = leaf({1});
  auto held = std::make_shared<int>(0);
  bool still_held = true;
  const Variable y = tape.record(vector({1}), [&](const Tensor& gradient) {
    still_held = held.use_count() > 1;
    x.gradient_target().tensor.copy_from(gradient);
  });
  const Variable z =
      tape.record(vector({1}), [y, held](const Tensor& gradient) { y.gradient_target().tensor.copy_from(gradient); });
  CHECK(held.use_count() == 2);
  tape.backward({{z, vector({1})}});
  CHECK_FALSE(still_held);
  CHECK(held.use_count() == 1);
}

TEST_CASE("an observer sees the finished gradient before the function behind it runs") {
  Tape tape;
  const Variable x = leaf({1});
  Values seen;
  const Variable y = scaled_sum(tape, x, 2, x);
  tape.watch(y, [&](const Tensor& gradient) {
    seen = gradient.to_vector<double>();
    CHECK_FALSE(x.has_grad());
  });
  SECTION("all contributions are in it") {
    const Variable z = scaled_sum(tape, y, 4, y);
    const Variable loss = scaled_sum(tape, z, 1, y);
    tape.backward({{loss, vector({1})}});
    CHECK(seen == Values{6});
    CHECK(x.grad().to_vector<double>() == Values{18});
  }
  SECTION("it is not called when no gradient arrives") {
    const Variable other = scaled_sum(tape, x, 1, x);
    tape.backward({{other, vector({1})}});
    CHECK(seen.empty());
  }
}

TEST_CASE("a gradient's handle does not keep the value alive") {
  Gradient gradient;
  const std::size_t before = memory_statistics().bytes_in_use;
  {
    const Variable x(Tensor::zeros({100000}, DType::float64), true);
    gradient = x.gradient();
    CHECK(memory_statistics().bytes_in_use > before);
  }
  CHECK(memory_statistics().bytes_in_use == before);
  CHECK(gradient.wanted());
  CHECK(gradient.target().tensor.shape() == Shape{100000});
  CHECK(gradient.written());
  CHECK(gradient.target().mode == Write::accumulate);
}

TEST_CASE("an undefined variable wants nothing") {
  const Variable variable;
  CHECK_FALSE(variable);
  CHECK_FALSE(variable.value());
  CHECK_FALSE(variable.requires_grad());
  CHECK_FALSE(variable.has_grad());
  CHECK_THROWS_AS(variable.gradient_target(), InternalError);
}

TEST_CASE("a function with several results gets the gradients of those that were used") {
  Tape tape;
  const Variable x = leaf({1});
  std::vector<bool> reached;
  const auto split = [&] {
    return tape.record(std::vector<Tensor>{vector({1}), vector({1}), vector({1})},
                       [&](const std::vector<Tensor>& gradients) {
                         double sum = 0;
                         for (const Tensor& gradient : gradients) {
                           reached.push_back(static_cast<bool>(gradient));
                           if (gradient) sum += gradient.data<double>()[0];
                         }
                         x.gradient_target().tensor.data<double>()[0] = sum;
                       });
  };
  const std::vector<Variable> parts = split();
  tape.backward({{scaled_sum(tape, parts[0], 2, parts[2]), vector({1})}});
  CHECK(reached == std::vector<bool>{true, false, true});
  CHECK(x.grad().to_vector<double>() == Values{3});
  split();  // no result used: the function is passed over
  tape.backward({{scaled_sum(tape, leaf({1}), 1, x), vector({1})}});
  CHECK(reached.size() == 3);
}
