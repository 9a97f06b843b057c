// Numbers between zero and the smallest normal one, 1.2e-38 in float.
#pragma once

namespace actgrad::kernels {

// From now on they count as 0, as operands and as results, in this thread and in those that it starts: call it first in
// main(), before any kernel has started threads. On x86-64; elsewhere nothing happens.
//
// The processor computes with them a hundred times more slowly, and long trainings are full of them: what a dead unit
// leaves behind, a weight with L2 decay or a moving average, shrinks by a factor per step until it is one. LeNet-5 with
// Adam spent half of its time in them after ten epochs.
void flush_denormals();

}  // namespace actgrad::kernels
