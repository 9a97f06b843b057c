// Tables as data, and in the forms in which people read them.
#pragma once

#include <string>
#include <vector>

#include "apps/reproduce/results.h"

namespace actgrad::reproduce {

struct Table {
  std::string title;
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
};

std::string to_markdown(const Table& table);
std::string to_html(const Table& table);
std::string to_csv(const Table& table);          // without the title
std::string html_text(const std::string& text);  // with < & > and quotes as HTML wants them

// A plan with what its runs say so far.
struct Evaluated {
  const Plan* plan;
  std::vector<GroupResult> results;  // of its groups, in their order
};
Evaluated evaluate(const Plan& plan, const RunStore& store);

// The first axis down, the second across: best test accuracy, and the paper's beside it. No rows unless there are two
// axes.
Table summary_table(const Evaluated& experiment);
// One row per group, with everything.
Table result_table(const Evaluated& experiment);
// The same for programs: numbers alone, empty where there are none.
Table number_table(const Evaluated& experiment);
// Test accuracy per epoch, over the finished runs.
Table curve_table(const Evaluated& experiment);
// Each option that differs between groups or that the optimizer has: its value, its source, the groups with it.
Table option_table(const Evaluated& experiment);
// The runs that are not finished, and why.
Table missing_table(const Evaluated& experiment, const RunStore& store);
// Who computed the finished runs: program, machine, date, how many of them.
Table provenance_table(const Evaluated& experiment, const RunStore& store);

}  // namespace actgrad::reproduce
