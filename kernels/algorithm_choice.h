// Which of a library's algorithms computes a convolution where several can: they differ in speed, and in the last bits.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "core/error.h"

namespace actgrad::kernels {

// A library lists an algorithm for a convolution and then refuses to run it.
class AlgorithmRefused : public InternalError {
 public:
  using InternalError::InternalError;
};

// Of the whole program, for convolutions on GPUs.
struct AlgorithmPolicy {
  // Each algorithm is timed once for each geometry and direction, and the fastest is kept; else the library's estimate
  // decides.
  bool autotune = false;
  // Also algorithms that add in another order each time, so that no two runs give the same bits.
  bool nondeterministic = false;
};
AlgorithmPolicy algorithm_policy();
void set_algorithm_policy(const AlgorithmPolicy& policy);

// What was chosen by timing: what for → the algorithm's name. Two processes may time differently and then compute
// different bits; so checkpoints carry the choices, and a resumed run makes the same ones.
using TunedChoices = std::map<std::string, std::string>;
TunedChoices tuned_choices();
void set_tuned_choices(const TunedChoices& choices);
std::optional<std::string> tuned_choice(const std::string& what);
void keep_tuned_choice(const std::string& what, const std::string& algorithm);

}  // namespace actgrad::kernels
