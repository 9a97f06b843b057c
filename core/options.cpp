#include "core/options.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/error.h"

namespace actgrad {
namespace {

// The spelling under which names are compared.
std::string normalised(std::string name) {
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

// %.15g, or as many digits more as it takes to read the same number back. Unlike printf, deaf to the locale.
std::string number_text(double value) {
  char buffer[40];
  for (int digits = 15;; ++digits) {
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::general, digits).ptr;
    double back = 0;
    std::from_chars(buffer, end, back);
    if (digits == 17 || back == value) return std::string(buffer, end);
  }
}

[[noreturn]] void fail(const Option& option, const std::string& message) {
  throw UserError("--" + option.name + ": " + message);
}

// "abc" as a number of type T; `what` names the type in the message.
template <class T>
T parse_number(const Option& option, const std::string& text, const char* what) {
  const char* begin = text.data();
  const char* end = begin + text.size();
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') ++begin;  // from_chars takes no plus sign
  T value{};
  const auto [stop, error] = std::from_chars(begin, end, value);
  if (error == std::errc::result_out_of_range && stop == end) fail(option, text + " is too large or too small");
  if (error != std::errc() || stop != end) fail(option, "'" + text + "' is not " + what);
  return value;
}

bool parse_flag(const Option& option, const std::string& text) {
  for (const char* word : {"true", "yes", "on", "1"})
    if (text == word) return true;
  for (const char* word : {"false", "no", "off", "0"})
    if (text == word) return false;
  fail(option, "'" + text + "' is not true or false");
}

// Optimal string alignment: insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`.
std::size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        cost[i][j] = i + j;
        continue;
      }
      const std::size_t replace = cost[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
      cost[i][j] = std::min({replace, cost[i - 1][j] + 1, cost[i][j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  }
  return cost[a.size()][b.size()];
}

}  // namespace

std::string to_text(const OptionValue& value) {
  if (const bool* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const std::int64_t* integer = std::get_if<std::int64_t>(&value)) return std::to_string(*integer);
  if (const double* number = std::get_if<double>(&value)) return number_text(*number);
  return std::get<std::string>(value);
}

Option Option::range(double from, double to) && {
  low = from;
  high = to;
  return std::move(*this);
}

Option Option::range_open_high(double from, double to) && {
  low = from;
  high = to;
  high_open = true;
  return std::move(*this);
}

Option Option::at_least(double from) && {
  low = from;
  return std::move(*this);
}

Option Option::above(double from) && {
  low = from;
  low_open = true;
  return std::move(*this);
}

Option Option::one_of(std::vector<std::string> values) && {
  choices = std::move(values);
  return std::move(*this);
}

Option Option::from(std::string where) && {
  source = std::move(where);
  return std::move(*this);
}

OptionValue Option::parse(const std::string& text) const {
  OptionValue value;
  if (std::holds_alternative<bool>(fallback))
    value = parse_flag(*this, text);
  else if (std::holds_alternative<std::int64_t>(fallback))
    value = parse_number<std::int64_t>(*this, text, "a whole number");
  else if (std::holds_alternative<double>(fallback))
    value = parse_number<double>(*this, text, "a number");
  else
    value = text;
  check(value);
  return value;
}

void Option::check(const OptionValue& value) const {
  if (value.index() != fallback.index()) {
    static const char* const wanted[] = {"true or false", "a whole number", "a number", "text"};
    fail(*this, "'" + to_text(value) + "' is not " + wanted[fallback.index()]);
  }
  if (const std::string* text = std::get_if<std::string>(&value)) {
    if (!choices.empty() && std::find(choices.begin(), choices.end(), *text) == choices.end())
      fail(*this, unknown_name("value", *text, choices));
    return;
  }
  if (std::holds_alternative<bool>(value)) return;
  const double number = std::holds_alternative<double>(value) ? std::get<double>(value)
                                                              : static_cast<double>(std::get<std::int64_t>(value));
  if (!std::isfinite(number)) fail(*this, to_text(value) + " is not a finite number");
  const bool too_low = low_open ? number <= low : number < low;
  const bool too_high = high_open ? number >= high : number > high;
  if (too_low || too_high) fail(*this, to_text(value) + " is out of range " + range_text());
}

std::string Option::range_text() const {
  if (!choices.empty()) {
    std::string text;
    for (const std::string& choice : choices) text += (text.empty() ? "" : "|") + choice;
    return text;
  }
  if (std::isinf(low) && std::isinf(high)) return "";
  std::string text = low_open || std::isinf(low) ? "(" : "[";
  text += std::isinf(low) ? "-∞" : number_text(low);
  text += ", ";
  text += std::isinf(high) ? "∞" : number_text(high);
  text += high_open || std::isinf(high) ? ")" : "]";
  return text;
}

const Option* find_option(const OptionTable& table, const std::string& name) {
  const std::string wanted = normalised(name);
  for (const Option& option : table)
    if (normalised(option.name) == wanted) return &option;
  return nullptr;
}

Options::Options(OptionTable table) : table_(std::move(table)) {
  for (const Option& option : table_)
    ACTGRAD_CHECK(find_option(table_, option.name) == &option, "option '" + option.name + "' is declared twice");
}

const Option& Options::known(const std::string& name) const {
  if (const Option* option = find_option(table_, name)) return *option;
  std::vector<std::string> names;
  for (const Option& option : table_) names.push_back(option.name);
  throw UserError(unknown_name("option", name, names));
}

Options& Options::set(const std::string& name, const OptionValue& value) {
  const Option& option = known(name);
  OptionValue converted = value;
  if (std::holds_alternative<double>(option.fallback) && std::holds_alternative<std::int64_t>(value))
    converted = static_cast<double>(std::get<std::int64_t>(value));
  option.check(converted);
  values_[option.name] = std::move(converted);
  return *this;
}

Options& Options::set_text(const std::string& name, const std::string& text) {
  const Option& option = known(name);
  values_[option.name] = option.parse(text);
  return *this;
}

bool Options::was_set(const std::string& name) const {
  return values_.count(known(name).name) > 0;
}

const OptionValue& Options::value(const std::string& name) const {
  const Option& option = known(name);
  const auto found = values_.find(option.name);
  return found == values_.end() ? option.fallback : found->second;
}

double Options::number(const std::string& name) const {
  const OptionValue& held = value(name);
  if (const std::int64_t* integer = std::get_if<std::int64_t>(&held)) return static_cast<double>(*integer);
  ACTGRAD_CHECK(std::holds_alternative<double>(held), "option '" + name + "' is not a number");
  return std::get<double>(held);
}

std::int64_t Options::integer(const std::string& name) const {
  const OptionValue& held = value(name);
  ACTGRAD_CHECK(std::holds_alternative<std::int64_t>(held), "option '" + name + "' is not a whole number");
  return std::get<std::int64_t>(held);
}

bool Options::flag(const std::string& name) const {
  const OptionValue& held = value(name);
  ACTGRAD_CHECK(std::holds_alternative<bool>(held), "option '" + name + "' is not a flag");
  return std::get<bool>(held);
}

const std::string& Options::text(const std::string& name) const {
  const OptionValue& held = value(name);
  ACTGRAD_CHECK(std::holds_alternative<std::string>(held), "option '" + name + "' is not text");
  return std::get<std::string>(held);
}

std::string nearest_name(const std::string& name, const std::vector<std::string>& candidates) {
  const auto folded = [](const std::string& text) {
    std::string result = normalised(text);
    for (char& c : result)
      if ('A' <= c && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return result;
  };
  // One slip, or one per three characters of a longer name: "did you mean" should not guess at random.
  std::size_t best = std::max<std::size_t>(1, name.size() / 3) + 1;
  std::string nearest;
  for (const std::string& candidate : candidates) {
    const std::size_t distance = edit_distance(folded(name), folded(candidate));
    if (distance < best) {
      best = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

std::string unknown_name(const std::string& what, const std::string& name, const std::vector<std::string>& candidates) {
  std::string text = "unknown " + what + " '" + name + "'";
  const std::string nearest = nearest_name(name, candidates);
  if (!nearest.empty()) text += ": did you mean '" + nearest + "'?";
  if (candidates.empty()) return text;
  std::string known;
  for (const std::string& candidate : candidates) known += (known.empty() ? "" : ", ") + candidate;
  return text + " (known: " + known + ")";
}

}  // namespace actgrad
