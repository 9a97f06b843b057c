// Pictures and the page that shows everything.
#pragma once

#include "apps/reproduce/run_store.h"

namespace actgrad::reproduce {

// Has scripts/plot draw the plan's picture into its folder. Returns why there is none, or "".
std::string draw_picture(const Plan& plan, const RunStore& store);

// One HTML page that needs no other file and no network: tables, the pictures that lie in the plans' folders, options
// with their sources, provenance, and what is missing.
std::string report_page(const std::vector<Plan>& plans, const RunStore& store);

}  // namespace actgrad::reproduce
