// The fastest of several algorithms for the same work, by trying them.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace actgrad::cuda {

// The name of the candidate that was chosen for `what` before (kernels/algorithm_choice.h), or else of the one whose
// run(name) takes the shortest time on this device, which is then kept. run may be called several times; candidates
// for which the device's memory is too small, and those that throw AlgorithmRefused, are passed over. Waits for the
// device, so never while a step is recorded.
std::string fastest(const std::string& what, const std::vector<std::string>& candidates,
                    const std::function<void(const std::string& name)>& run);

}  // namespace actgrad::cuda
