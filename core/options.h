// Options that describe themselves. An optimizer, a model or a program declares one table: name, default, range, help,
// source. The command line, --help, config.json, the check on resuming and the documentation all derive from it.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "core/error.h"

namespace actgrad {

using OptionValue = std::variant<bool, std::int64_t, double, std::string>;

// "true", "128", "0.001", "cosine": reads back as the same value.
std::string to_text(const OptionValue& value);

struct Option {
  std::string name;      // with dashes: "weight-decay"
  OptionValue fallback;  // the default; its type is the option's type
  std::string help;
  std::string source = {};  // where the default comes from: "AdaAct paper, Appendix E"

  // Range of numbers; an open end excludes the bound itself. NaN and infinities are never accepted.
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool low_open = false;
  bool high_open = false;
  std::vector<std::string> choices = {};  // of text; empty: any

  Option range(double from, double to) &&;            // [from, to]
  Option range_open_high(double from, double to) &&;  // [from, to)
  Option at_least(double from) &&;                    // [from, ∞)
  Option above(double from) &&;                       // (from, ∞)
  Option one_of(std::vector<std::string> values) &&;
  Option from(std::string where) &&;  // the source

  // Converts text from a command line or a file. Throws UserError("--lr: …") when it is not of the option's type.
  OptionValue parse(const std::string& text) const;
  // Throws UserError when the value is out of range.
  void check(const OptionValue& value) const;
  std::string range_text() const;  // "[0, 1)", "sgd|adam", ""
};

using OptionTable = std::vector<Option>;

// nullptr when there is no such option. Dashes and underscores are the same.
const Option* find_option(const OptionTable& table, const std::string& name);

// The values of a table's options: its defaults until set.
class Options {
 public:
  Options() = default;
  explicit Options(OptionTable table);

  const OptionTable& table() const { return table_; }
  bool contains(const std::string& name) const { return find_option(table_, name) != nullptr; }

  // Throw UserError for an unknown name (naming the nearest known one), a wrong type, a value out of range.
  Options& set(const std::string& name, const OptionValue& value);  // an integer is accepted where a number is wanted
  Options& set_text(const std::string& name, const std::string& text);
  Options& set(const std::string& name, const char* text) { return set(name, OptionValue(std::string(text))); }
  template <std::integral T>  // of any width: else 0 would pass for a null pointer to text
  Options& set(const std::string& name, T value) {
    using Held = std::conditional_t<std::is_same_v<T, bool>, bool, std::int64_t>;
    return set(name, OptionValue(static_cast<Held>(value)));
  }
  bool was_set(const std::string& name) const;  // by set or set_text, as opposed to the default

  const OptionValue& value(const std::string& name) const;
  double number(const std::string& name) const;
  std::int64_t integer(const std::string& name) const;
  bool flag(const std::string& name) const;
  const std::string& text(const std::string& name) const;

 private:
  const Option& known(const std::string& name) const;
  OptionTable table_;
  std::map<std::string, OptionValue> values_;
};

// What the text of an option stands for.
template <class E>
E choice(const Options& options, const std::string& name,
         std::initializer_list<std::pair<std::string_view, E>> meanings) {
  for (const auto& [text, meaning] : meanings)
    if (text == options.text(name)) return meaning;
  ACTGRAD_CHECK(false, "--" + name + " " + options.text(name));
}

// The candidate most like `name` (edit distance), or "" when none is close: for "did you mean".
std::string nearest_name(const std::string& name, const std::vector<std::string>& candidates);
// "unknown optimizer 'adact': did you mean 'adaact'? (known: sgd, adam, …)"
std::string unknown_name(const std::string& what, const std::string& name, const std::vector<std::string>& candidates);

}  // namespace actgrad
