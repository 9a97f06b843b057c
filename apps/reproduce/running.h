// From plans to finished runs and tables: what `run` and `sweep` share.
#pragma once

#include "apps/reproduce/commands.h"
#include "apps/reproduce/runner.h"

namespace actgrad::reproduce {

// Does the selected runs in `out`, with what `given` says of running_group()'s options, and keeps their outputs up to
// date. Returns the exit code: 0 when all are finished, 1 when some failed or are not, 128 + signal when stopped.
int run_plans(const std::vector<Plan>& plans, const std::string& out, const Selection& only, std::int64_t seeds,
              const GivenOptions& given);

}  // namespace actgrad::reproduce
