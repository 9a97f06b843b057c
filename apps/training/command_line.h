// A program's command line, made from option tables: parsing (CLI11), --help, and what a program's main() has in
// common.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/options.h"

namespace actgrad {

// A value that somebody gave, before it is known what it means.
struct GivenOption {
  std::string name;  // with dashes, aliases resolved
  std::string text;
};
using GivenOptions = std::vector<GivenOption>;

// The text given for `name`, or nullptr.
const std::string* find_given(const GivenOptions& given, const std::string& name);

// One line of --help.
struct CommandLineOption {
  Option option;
  std::string placeholder = {};           // "FILE"; by default from the type: N, X, TEXT
  std::vector<std::string> aliases = {};  // "epoch" for --epochs
  std::string default_text = {};          // instead of the fallback, where the default depends on something
  bool action = false;                    // a flag that asks for something to be done: no default, no --no-x
};

struct CommandLineGroup {
  std::string title;
  std::vector<CommandLineOption> options;
};

struct CommandLine {
  std::string program;
  std::string usage;        // "train [options]"
  std::string description;  // printed above and below the options
  std::string epilogue = {};
  std::vector<CommandLineGroup> groups;

  std::string help() const;

  // The options in `arguments` (without the program's name), and the words that are no options. Dashes and underscores
  // are the same; an option given twice counts as given last; a flag --x may also be switched off by --no-x. Throws
  // UserError for an option that is not in the tables (naming the nearest), for a missing value, and for one that is
  // not UTF-8.
  GivenOptions parse(const std::vector<std::string>& arguments, std::vector<std::string>& words) const;
};

// The text given for `name`, which is gone from `given` then: of an option that is an action, not part of a run's
// configuration. "" when it was not given.
std::string take_given(GivenOptions& given, const std::string& name);

// Parses a program's arguments, and answers --help and --version: false then. Throws UserError as parse() does, and for
// words.
bool parse_or_answer(const CommandLine& line, const std::vector<std::string>& arguments, GivenOptions& given);

// Options are kept in JSON, which is UTF-8. Throws UserError for other text; `name`: what it was given for.
void refuse_other_than_utf8(const std::string& name, const std::string& text);

// Throws UserError when there are words.
void refuse_words(const std::vector<std::string>& words);

// Runs a program's body and turns what it throws into one line "program: message" on stderr and an exit code:
// 2 for a UserError or a file that cannot be reached, 1 for anything else. Denormal numbers count as 0 in it
// (kernels/denormals.h).
int run_program(const std::string& program, int argc, char** argv,
                const std::function<int(const std::vector<std::string>& arguments)>& body);

}  // namespace actgrad
