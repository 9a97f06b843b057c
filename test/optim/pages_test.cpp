// Every optimizer has a page, docs/optimizers/NAME.md, whose table of options is the library's.
#include <fstream>
#include <set>
#include <sstream>

#include "optim/optimizer.h"
#include "test/catch.h"

using namespace actgrad;

namespace {

// The rows of a page's tables that begin with a name in code quotes, up to the third column: "| `lr` | 0.1 | source".
std::multiset<std::string> rows_of(const std::string& page) {
  std::ifstream stream(ACTGRAD_SOURCE "/docs/optimizers/" + page + ".md");
  std::multiset<std::string> rows;
  for (std::string line; std::getline(stream, line);) {
    if (!line.starts_with("| `")) continue;
    std::size_t end = 0;
    for (int column = 0; column < 4 && end != std::string::npos; ++column) end = line.find('|', end + (column > 0));
    rows.insert(line.substr(0, end));
  }
  return rows;
}

std::string row_of(const Option& option) {
  const std::string source = option.source.empty() ? " " : " " + option.source + " ";
  return "| `" + option.name + "` | " + to_text(option.fallback) + " |" + source;
}

}  // namespace

TEST_CASE("every optimizer's page has its options, with their defaults and sources") {
  for (const std::string& name : optimizer_names()) {
    const bool baseline = name == "rnnprop" || name == "dm";
    const std::string page = name == "adamw" ? "adam" : baseline ? "learned_baselines" : name;
    const std::multiset<std::string> rows = rows_of(page);
    CAPTURE(name);
    for (const Option& option : own_optimizer_options(name)) {
      INFO("in docs/optimizers/" << page << ".md: " << row_of(option));
      CHECK(rows.contains(row_of(option)));
    }
  }
}
