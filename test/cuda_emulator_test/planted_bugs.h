// Kernels, and host code, each with one bug that people make. Tests show that the emulator catches them.
#pragma once

#include <vector>

namespace actgrad::test {

struct PlantedBug {
  const char* name;
  bool (*run)();  // whether the result was right; or throws what the emulator found
  // What the plain emulator sees: the beginning of its message, "wrong result", or null where it sees nothing.
  const char* seen;
  // What the checker sees: this, or after a '|' that.
  const char* checked;
};
const std::vector<PlantedBug>& planted_bugs();

// The parts of the list, one per file.
const std::vector<PlantedBug>& barrier_bugs();
const std::vector<PlantedBug>& memory_bugs();
const std::vector<PlantedBug>& graph_bugs();

}  // namespace actgrad::test
