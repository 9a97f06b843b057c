#include "kernels/algorithm_choice.h"

#include <mutex>

namespace actgrad::kernels {
namespace {

struct State {
  std::mutex mutex;
  AlgorithmPolicy policy;
  TunedChoices choices;
};
State& state() {
  static State instance;
  return instance;
}

}  // namespace

AlgorithmPolicy algorithm_policy() {
  const std::lock_guard lock(state().mutex);
  return state().policy;
}
void set_algorithm_policy(const AlgorithmPolicy& policy) {
  const std::lock_guard lock(state().mutex);
  state().policy = policy;
}

TunedChoices tuned_choices() {
  const std::lock_guard lock(state().mutex);
  return state().choices;
}
void set_tuned_choices(const TunedChoices& choices) {
  const std::lock_guard lock(state().mutex);
  state().choices = choices;
}
std::optional<std::string> tuned_choice(const std::string& what) {
  const std::lock_guard lock(state().mutex);
  const auto found = state().choices.find(what);
  return found == state().choices.end() ? std::nullopt : std::optional(found->second);
}
void keep_tuned_choice(const std::string& what, const std::string& algorithm) {
  const std::lock_guard lock(state().mutex);
  state().choices[what] = algorithm;
}

}  // namespace actgrad::kernels
