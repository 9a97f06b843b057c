#include "test/cuda_emulator_test/planted_bugs.h"

namespace actgrad::test {

const std::vector<PlantedBug>& planted_bugs() {
  static const std::vector<PlantedBug> all = [] {
    std::vector<PlantedBug> bugs = barrier_bugs();
    bugs.insert(bugs.end(), memory_bugs().begin(), memory_bugs().end());
    bugs.insert(bugs.end(), graph_bugs().begin(), graph_bugs().end());
    return bugs;
  }();
  return all;
}

}  // namespace actgrad::test
