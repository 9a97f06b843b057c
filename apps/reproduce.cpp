// reproduce: does the AdaAct paper's experiments, and anyone's own, and puts the results beside the paper's.
#include <algorithm>
#include <cstdio>

#include "apps/reproduce/commands.h"
#include "apps/reproduce/text.h"
#include "apps/training/build_info.h"
#include "core/error.h"
#include "core/options.h"

namespace actgrad::reproduce {
namespace {

std::string help() {
  std::vector<std::vector<std::string>> rows;
  for (const Command& command : commands()) rows.push_back({"  " + command.name, command.help});
  return "Usage: reproduce COMMAND [options]\n\n"
         "Does the experiments of the AdaAct paper, or your own, and puts the results beside the paper's.\n\n" +
         columns(rows) + "\nreproduce COMMAND --help explains a command's options. Example:\n" +
         "  reproduce run table1 --only optim=adaact,model=resnet20 --out results\n";
}

int reproduce(const std::vector<std::string>& arguments) {
  if (arguments.empty()) throw UserError("which command? (reproduce --help lists them)");
  const std::string& name = arguments.front();
  if (name == "--help") return std::fputs(help().c_str(), stdout), 0;
  if (name == "--version") return std::printf("actgrad %s (%s)\n", version().c_str(), commit().c_str()), 0;
  std::vector<std::string> names;
  for (const Command& command : commands()) {
    if (command.name == name) return command.run({arguments.begin() + 1, arguments.end()});
    names.push_back(command.name);
  }
  throw UserError(unknown_name("command", name, names));
}

}  // namespace
}  // namespace actgrad::reproduce

int main(int argc, char** argv) {
  return actgrad::run_program("reproduce", argc, argv, actgrad::reproduce::reproduce);
}
