// Every optimizer and option against training trajectories that an independent implementation has computed
// (scripts/make_golden.py, test/optim/golden/trajectories.json).
#include <map>
#include <set>

#include "test/distance_of_updates.h"
#include "test/optim/golden_network.h"

using namespace actgrad;
using namespace actgrad::test;

namespace {

// What the file has and the library does not have yet: optimizers, options. To be emptied.
const std::set<std::string> not_yet = {};

// One trajectory of the file, in double or float.
struct Trajectory : GoldenRun {
  Trajectory(const Json& entry, DType dtype)
      : GoldenRun(entry["optimizer"], golden_options(entry), entry["micro-batches"], dtype,
                  static_cast<int>(entry["losses"].size()), /*normalised=*/true, entry["clip-norm"]),
        lr(entry["lr"]) {}
  double step(int s) { return GoldenRun::step(s, lr * (1 - s / 40.0)); }

  double lr;
};

// Runs `test` for each case of the file, in a section of its name.
template <class Test>
void for_each_case(const Test& test) {
  const OneThread one_thread;
  for (const Json& entry : golden_file()["cases"]) {
    if (!missing(entry).empty()) continue;
    DYNAMIC_SECTION(entry["name"].get<std::string>()) {
      CAPTURE(entry["options"].dump(), entry["micro-batches"].dump());
      test(entry);
    }
  }
}

// The largest difference as a share of the largest expected number.
double relative_distance(const std::vector<double>& found, const std::vector<double>& expected) {
  double largest = 0;
  for (double value : expected) largest = std::max(largest, std::abs(value));
  return distance(found, expected) / largest;
}

// Σ factor · value over each tensor, and what it may differ by: Σ |factor · value|.
struct Checksum {
  double sum = 0, size = 0;
};
std::map<std::string, Checksum> checksums(const Model& model) {
  std::map<std::string, Tensor> state;
  for (const auto& [name, tensor] : model.state()) state[name] = tensor;
  Numbers factors(4);
  std::map<std::string, Checksum> result;
  for (const auto& [name, shape] : golden_file()["parameters"].items())
    for (double value : doubles(state[name])) {
      const double term = factors.next() * value;
      result[name].sum += term;
      result[name].size += std::abs(term);
    }
  return result;
}

}  // namespace

TEST_CASE("golden trajectories: what the library does not have yet") {
  std::map<std::string, int> absent;
  for (const Json& entry : golden_file()["cases"])
    if (const std::string thing = missing(entry); !thing.empty()) ++absent[thing];
  for (const auto& [thing, cases] : absent) {
    WARN(thing << ": " << cases << " trajectories are not followed");
    CHECK(not_yet.contains(thing));
  }
  for (const std::string& thing : not_yet) {
    INFO(thing << " exists now: take it from the list");
    CHECK(absent.contains(thing));
  }
}

TEST_CASE("golden trajectories: every optimizer and option, in double to 1e-9 of each tensor's largest number") {
  constexpr double tolerance = 1e-9;
  for_each_case([&](const Json& entry) {
    Trajectory run(entry, DType::float64);
    const std::vector<double> losses = entry["losses"];
    for (int s = 0; s < std::ssize(losses); ++s) {
      INFO("step " << s + 1);
      REQUIRE(run.step(s) == Approx(losses[static_cast<std::size_t>(s)]).epsilon(tolerance));
      const Json& sums = entry["checksums"];
      if (const auto expected = sums.find(std::to_string(s + 1)); expected != sums.end())
        for (const auto& [name, found] : checksums(run.model)) {
          INFO(name);
          REQUIRE(std::abs(found.sum - (*expected)[name].get<double>()) < tolerance * found.size);
        }
    }
    for (const auto& [name, tensor] : run.model.state()) {
      INFO(name << " after the last step");
      CHECK(relative_distance(doubles(tensor), entry["final"][name]) < tolerance);
    }
  });
}

namespace {

// Parameters, running statistics and the optimizer's state, rounded. Buffers that are laid out like the parameters have
// other gaps in float.
void copy_state(Trajectory& to, Trajectory& from) {
  const auto copy = [](const Tensor& source, Tensor destination) {
    if (source.dtype() == destination.dtype())
      destination.copy_from(source);
    else
      kernels::cast(source, destination);
  };
  to.model.load_state(from.model.state(), "the trajectory in double");
  const ParameterSet &there = to.model.parameters(), &here = from.model.parameters();
  const auto source = from.optimizer->state(), destination = to.optimizer->state();
  REQUIRE(source.size() == destination.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i].tensor.shape() != here.values().shape())
      copy(source[i].tensor, destination[i].tensor);
    else
      for (std::size_t p = 0; p < here.list().size(); ++p)
        copy(here.view(source[i].tensor, *here.list()[p]), there.view(destination[i].tensor, *there.list()[p]));
  }
  to.optimizer->set_steps(from.optimizer->steps());
}

}  // namespace

// Training is chaotic, so in float only single steps can be compared: each starts from the state that the trajectory in
// double has reached. Where a unit's sum is 0 but for rounding, ReLU may choose differently: such steps do not count.
TEST_CASE("golden trajectories: in float, each step's update to 1e-4 of the tensor's largest") {
  for_each_case([&](const Json& entry) {
    Trajectory exact(entry, DType::float64), rounded(entry, DType::float32);
    const int steps = static_cast<int>(entry["losses"].size());
    int ties = 0;
    for (int s = 0; s < steps; ++s) {
      INFO("step " << s + 1);
      copy_state(rounded, exact);
      const Tensor before = exact.model.parameters().values().clone();
      exact.step(s);
      rounded.step(s);
      if (exact.active() == rounded.active())
        CHECK(distance_of_updates(rounded.model, exact.model, before) < 1e-4);
      else
        ++ties;
    }
    CHECK(ties <= steps / 4);
  });
}
