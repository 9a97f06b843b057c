// The tape: automatic differentiation by recorded closures.
//
// Each differentiable function computes its result, and records one closure that carries the gradient of the result
// back to the function's inputs. Tape::backward runs the closures in reverse. A closure asks each input for its
// GradientTarget: the buffer to write, and whether to overwrite it (the first contribution) or to add (the others).
// So the kernels do all arithmetic, gradients need no clearing, and the tape never adds.
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "core/tensor.h"

namespace actgrad {

// What a backward kernel does to its destination.
enum class Write { overwrite, accumulate };

struct GradientTarget {
  Tensor tensor;
  Write mode = Write::overwrite;
};

// The gradient of a variable, without its value: backward closures hold this for each input, so that the tape keeps
// alive only those values that a backward kernel reads. A handle: copies share the gradient.
class Gradient {
 public:
  Gradient() = default;
  bool wanted() const { return node_ != nullptr; }  // whether the variable requires a gradient

  // The gradient; undefined while no backward pass has reached the variable.
  Tensor value() const;
  bool written() const;
  // Forgets the gradient: the next backward pass overwrites it.
  void clear();

  // Where a backward kernel writes. Allocates at the first call. The gradient counts as written from then on, so the
  // caller must write it. Only if wanted().
  GradientTarget target() const;
  // The same for a closure that is done with the gradient it was given and whose kernel may work in place: where there
  // is no storage yet, `consumed` becomes it. That saves memory and the time to fill it.
  GradientTarget target_in_place_of(const Tensor& consumed) const;

 private:
  friend class Variable;
  struct Node;
  std::shared_ptr<Node> node_;
};

// A tensor in a computation, with room for its gradient. A handle: copies share the value and the gradient.
class Variable {
 public:
  Variable() = default;
  explicit Variable(Tensor value, bool requires_grad = false);
  // A leaf whose gradient is written into `gradient_storage` (same shape and dtype): parameters use this.
  Variable(Tensor value, Tensor gradient_storage);

  explicit operator bool() const { return static_cast<bool>(value_); }
  const Tensor& value() const { return value_; }
  const Gradient& gradient() const { return gradient_; }
  bool requires_grad() const { return gradient_.wanted(); }

  Tensor grad() const { return gradient_.value(); }
  bool has_grad() const { return gradient_.written(); }
  void clear_grad() { gradient_.clear(); }
  GradientTarget gradient_target() const { return gradient_.target(); }

 private:
  Tensor value_;
  Gradient gradient_;
};

// The gradient of the final scalar with respect to `output`, as a start of the backward pass.
struct Seed {
  Variable output;
  Tensor gradient;
};

class Tape {
 public:
  // `gradient` is d(loss)/d(output); the closure must write or add to the targets of those inputs that want it.
  using Backward = std::function<void(const Tensor& gradient)>;

  // Wraps `output` in a variable that requires a gradient, and remembers how to carry that gradient back.
  Variable record(Tensor output, Backward backward);
  // The same of a function with several results. `backward` gets their gradients, undefined where none has reached one;
  // it runs when at least one has.
  using BackwardOfSeveral = std::function<void(const std::vector<Tensor>& gradients)>;
  std::vector<Variable> record(std::vector<Tensor> outputs, BackwardOfSeveral backward);

  // Calls `observer` in the backward pass with the finished gradient of `variable`, if one reaches it. Call it right
  // after the variable was made, before anything uses it.
  void watch(const Variable& variable, Backward observer);

  // Runs the recorded closures in reverse from the given seeds (distinct variables), skipping those that no gradient
  // reaches, and forgets each with the tensors it holds as soon as it has run. The tape is empty afterwards. Gradients
  // of leaves remain; those of intermediate results may have been overwritten in place: watch() shows them in time.
  void backward(const std::vector<Seed>& seeds);

  void clear() { records_.clear(); }
  std::size_t size() const { return records_.size(); }

 private:
  struct Record {
    std::vector<Gradient> outputs;
    BackwardOfSeveral backward;
    bool reached() const;
  };
  std::vector<Record> records_;
};

}  // namespace actgrad
