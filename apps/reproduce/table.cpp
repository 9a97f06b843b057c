#include "apps/reproduce/table.h"

#include <algorithm>

#include "apps/reproduce/text.h"

namespace actgrad::reproduce {
namespace {

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
  return text;
}

std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  return "\"" + replaced(text, "\"", "\"\"") + "\"";
}

template <class Cell>
std::string joined(const std::vector<std::string>& cells, const std::string& separator, const Cell& cell) {
  std::string text;
  for (std::size_t i = 0; i < cells.size(); ++i) text += (i > 0 ? separator : "") + cell(cells[i]);
  return text;
}

}  // namespace

std::string to_markdown(const Table& table) {
  const auto row = [](const std::vector<std::string>& cells) {
    return "| " + joined(cells, " | ", [](const std::string& cell) { return replaced(cell, "|", "\\|"); }) + " |\n";
  };
  std::string text = table.title.empty() ? "" : "**" + table.title + "**\n\n";
  text += row(table.header) + row(std::vector<std::string>(table.header.size(), "---"));
  for (const auto& cells : table.rows) text += row(cells);
  return text + "\n";
}

std::string html_text(const std::string& text) {
  return replaced(replaced(replaced(replaced(text, "&", "&amp;"), "<", "&lt;"), ">", "&gt;"), "\"", "&quot;");
}

std::string to_html(const Table& table) {
  const auto row = [](const std::vector<std::string>& cells, const std::string& tag) {
    std::string text = "<tr>";
    for (const std::string& cell : cells) text += "<" + tag + ">" + html_text(cell) + "</" + tag + ">";
    return text + "</tr>\n";
  };
  std::string text = "<table>\n";
  if (!table.title.empty()) text += "<caption>" + html_text(table.title) + "</caption>\n";
  text += "<thead>" + row(table.header, "th") + "</thead>\n<tbody>\n";
  for (const auto& cells : table.rows) text += row(cells, "td");
  return text + "</tbody>\n</table>\n";
}

std::string to_csv(const Table& table) {
  std::string text = joined(table.header, ",", csv_cell) + "\n";
  for (const auto& cells : table.rows) text += joined(cells, ",", csv_cell) + "\n";
  return text;
}

}  // namespace actgrad::reproduce
