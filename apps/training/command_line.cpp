#include "apps/training/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <new>
#include <nlohmann/json.hpp>

#include "apps/training/build_info.h"
#include "core/error.h"
#include "kernels/denormals.h"

namespace actgrad {
namespace {

constexpr std::size_t help_column = 30;  // where explanations start
constexpr std::size_t help_width = 110;

bool is_flag(const Option& option) {
  return std::holds_alternative<bool>(option.fallback);
}

// "--epochs, --epoch N"
std::string signature(const CommandLineOption& entry) {
  std::string text = is_flag(entry.option) && !entry.action ? "--[no-]" : "--";
  text += entry.option.name;
  for (const std::string& alias : entry.aliases) text += ", --" + alias;
  if (is_flag(entry.option)) return text;
  if (!entry.placeholder.empty()) return text + " " + entry.placeholder;
  if (!entry.option.choices.empty()) return text + " " + entry.option.range_text();
  if (std::holds_alternative<std::int64_t>(entry.option.fallback)) return text + " N";
  return text + (std::holds_alternative<double>(entry.option.fallback) ? " X" : " TEXT");
}

std::string explanation(const CommandLineOption& entry) {
  std::string standard = entry.default_text;
  if (standard.empty() && !entry.action) {
    standard = to_text(entry.option.fallback);
    if (is_flag(entry.option)) standard = standard == "true" ? "on" : "off";
  }
  return entry.option.help + (standard.empty() ? "" : " [" + standard + "]");
}

// Breaks `text` at spaces into lines of help_width, all but the first indented.
std::string wrapped(const std::string& text, std::size_t indent) {
  std::string result;
  std::size_t column = indent;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (column > indent && column + 1 + word.size() > help_width) {
      result += "\n" + std::string(indent, ' ');
      column = indent;
    }
    if (column > indent) {
      result += ' ';
      ++column;
    }
    result += word;
    column += word.size();
  }
  return result;
}

// Only names are respelled, never values: "--data_dir=my_data" → "--data-dir=my_data".
std::string with_dashes(const std::string& argument) {
  if (argument.rfind("--", 0) != 0) return argument;
  const auto end = argument.begin() + static_cast<std::ptrdiff_t>(std::min(argument.find('='), argument.size()));
  std::string result = argument;
  std::replace(result.begin(), result.begin() + (end - argument.begin()), '_', '-');
  return result;
}

}  // namespace

void refuse_other_than_utf8(const std::string& name, const std::string& text) {
  using Json = nlohmann::json;
  const std::string shown = Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
  if (Json::parse(shown) != Json(text)) throw UserError(name + ": " + shown + " is not UTF-8 text");
}

const std::string* find_given(const GivenOptions& given, const std::string& name) {
  for (const GivenOption& option : given)
    if (option.name == name) return &option.text;
  return nullptr;
}

std::string CommandLine::help() const {
  std::string text = "Usage: " + usage + "\n\n" + wrapped(description, 0) + "\n";
  for (const CommandLineGroup& group : groups) {
    text += "\n" + group.title + "\n";
    for (const CommandLineOption& entry : group.options) {
      std::string line = "  " + signature(entry);
      if (line.size() + 2 > help_column)
        line += "\n" + std::string(help_column, ' ');
      else
        line.resize(help_column, ' ');
      text += line + wrapped(explanation(entry), help_column) + "\n";
    }
  }
  return text + (epilogue.empty() ? "" : "\n" + epilogue);
}

GivenOptions CommandLine::parse(const std::vector<std::string>& arguments, std::vector<std::string>& words) const {
  CLI::App app(description, program);
  app.set_help_flag("");  // help() is ours
  app.allow_extras();

  struct Registered {
    const Option* option;
    CLI::Option* parsed;
  };
  std::vector<Registered> registered;
  std::vector<std::string> names;
  for (const CommandLineGroup& group : groups) {
    for (const CommandLineOption& entry : group.options) {
      const std::string& name = entry.option.name;
      std::string spellings = "--" + name;
      for (const std::string& alias : entry.aliases) spellings += ",--" + alias;
      if (is_flag(entry.option) && !entry.action) spellings += ",!--no-" + name;
      CLI::Option* parsed = is_flag(entry.option) ? app.add_flag(spellings) : app.add_option(spellings)->expected(1);
      registered.push_back({&entry.option, parsed->multi_option_policy(CLI::MultiOptionPolicy::TakeLast)});
      names.push_back(name);
    }
  }

  std::vector<std::string> reversed;  // as CLI11 wants them
  for (const std::string& argument : arguments) reversed.insert(reversed.begin(), with_dashes(argument));
  try {
    app.parse(reversed);
  } catch (const CLI::ArgumentMismatch& error) {  // "--lr: 1 required TEXT missing"
    const std::string what = error.what();
    throw UserError(what.substr(0, what.find_first_of(": ")) + " needs a value");
  } catch (const CLI::Error& error) {
    const std::string what = error.what();
    throw UserError(what.substr(0, what.find('\n')));
  }

  words = app.remaining();
  for (const std::string& word : words) {
    refuse_other_than_utf8("argument", word);
    if (word.size() < 2 || word[0] != '-') continue;
    const std::string name = word.substr(0, word.find('='));
    const std::string nearest = nearest_name(name.substr(std::min(name.find_first_not_of('-'), name.size())), names);
    throw UserError("unknown option " + name +
                    (nearest.empty() ? " (see --help)" : ": did you mean --" + nearest + "?"));
  }
  GivenOptions given;
  for (const Registered& entry : registered) {
    if (entry.parsed->count() == 0) continue;
    std::string text = entry.parsed->results().back();
    if (is_flag(*entry.option)) text = to_text(entry.option->parse(text));  // "--augment=off"
    refuse_other_than_utf8("--" + entry.option->name, text);
    if (text.rfind("--", 0) == 0) throw UserError("--" + entry.option->name + " needs a value, not " + text);
    given.push_back({entry.option->name, text});
  }
  return given;
}

std::string take_given(GivenOptions& given, const std::string& name) {
  std::string text;
  if (const std::string* found = find_given(given, name)) text = *found;
  std::erase_if(given, [&](const GivenOption& option) { return option.name == name; });
  return text;
}

bool parse_or_answer(const CommandLine& line, const std::vector<std::string>& arguments, GivenOptions& given) {
  std::vector<std::string> words;
  given = line.parse(arguments, words);
  if (take_given(given, "help") == "true") return std::fputs(line.help().c_str(), stdout), false;
  if (take_given(given, "version") == "true")
    return std::printf("actgrad %s (%s)\n", version().c_str(), commit().c_str()), false;
  refuse_words(words);
  return true;
}

void refuse_words(const std::vector<std::string>& words) {
  if (!words.empty()) throw UserError("unexpected argument '" + words.front() + "' (see --help)");
}

int run_program(const std::string& program, int argc, char** argv,
                const std::function<int(const std::vector<std::string>& arguments)>& body) {
  kernels::flush_denormals();
  const auto fail = [&](const std::string& message, int code) {
    std::fflush(stdout);
    std::fprintf(stderr, "%s: %s\n", program.c_str(), message.c_str());
    return code;
  };
  try {
    const int code = body(std::vector<std::string>(argv + 1, argv + argc));
    if (std::fflush(stdout) != 0) return fail("cannot write to the standard output", 1);
    return code;
  } catch (const UserError& error) {
    return fail(error.what(), 2);
  } catch (const std::filesystem::filesystem_error& error) {  // a folder that cannot be read, say
    return fail(error.path1().string() + ": " + error.code().message(), 2);
  } catch (const std::bad_alloc&) {
    return fail("out of memory", 1);
  } catch (const std::exception& error) {
    return fail(error.what(), 1);
  }
}

}  // namespace actgrad
