// The files of OUT/EXPERIMENT: what was planned, where its runs lie, and their tables.
#pragma once

#include "apps/reproduce/run_store.h"

namespace actgrad::reproduce {

// Plans that stand in OUT, by name.
std::vector<Plan> plans_in(const std::string& out);

// Writes experiment.json, table.csv, table.md and curves.csv from what is there now.
void write_outputs(const Plan& plan, const RunStore& store);

}  // namespace actgrad::reproduce
