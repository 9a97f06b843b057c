#include "apps/reproduce/report.h"

#include <ctime>
#include <filesystem>
#include <fstream>

#include "apps/reproduce/child_process.h"
#include "apps/reproduce/commands.h"
#include "apps/reproduce/outputs.h"
#include "apps/reproduce/table.h"
#include "apps/reproduce/text.h"
#include "apps/training/build_info.h"
#include "core/atomic_file.h"
#include "core/error.h"

namespace actgrad::reproduce {
namespace {

namespace fs = std::filesystem;

constexpr const char* style = R"(
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
.table { overflow-x: auto; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; font-size: 0.9rem; }
caption { text-align: left; font-weight: 600; padding-bottom: 0.3rem; }
th, td { text-align: left; padding: 0.2rem 0.8rem 0.2rem 0; border-bottom: 1px solid #8886; vertical-align: top; }
img { width: 100%; max-width: 64rem; height: auto; background: white; }
.mark { display: inline-block; background: #b00020; color: white; padding: 0.1rem 0.5rem; border-radius: 0.3rem; }
.none { color: #777; }
summary { cursor: pointer; }
)";

std::string base64(const std::string& bytes) {
  constexpr const char* digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k)
      group = group << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    for (std::size_t k = 0; k < 4; ++k) text += i + k <= bytes.size() ? digits[group >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

// The picture of a plan as an <img> that holds it. As an image, not as inline SVG: identifiers inside would clash.
std::string image(const Plan& plan, const std::string& folder) {
  for (const auto& [ending, type] : {std::pair{".svg", "svg+xml"}, std::pair{".png", "png"}}) {
    const std::string path = folder + "/" + plan.name + ending;
    if (fs::exists(path))
      return "<img alt=\"" + html_text(plan.title) + "\" src=\"data:image/" + type + ";base64," +
             base64(read_file(path)) + "\">\n";
  }
  return "<p class=\"none\">No picture: none was drawn (scripts/plot needs matplotlib), or no run is finished.</p>\n";
}

std::string folded(const Table& table) {
  if (table.rows.empty()) return "";
  Table inner = table;
  inner.title.clear();
  return "<details><summary>" + html_text(table.title) + " (" + std::to_string(table.rows.size()) +
         ")</summary><div class=\"table\">" + to_html(inner) + "</div></details>\n";
}

std::string section(const Plan& plan, const RunStore& store) {
  const Evaluated experiment = evaluate(plan, store);
  std::string text = "<section id=\"" + html_text(plan.name) + "\">\n<h2>" + html_text(plan.title) + "</h2>\n";
  if (!plan.mark.empty()) text += "<p><span class=\"mark\">" + html_text(plan.mark) + "</span></p>\n";
  text += "<p>" + html_text(plan.source) + "</p>\n";
  if (!plan.notes.empty()) text += "<p>" + html_text(plan.notes) + "</p>\n";
  text += image(plan, store.out() + "/" + plan.name);
  for (const Table& table : {summary_table(experiment), result_table(experiment)})
    if (!table.rows.empty()) text += "<div class=\"table\">" + to_html(table) + "</div>\n";
  return text + folded(missing_table(experiment, store)) + folded(option_table(experiment)) +
         folded(provenance_table(experiment, store)) + "</section>\n";
}

// How many of a plan's runs are finished: "12 of 40 runs".
std::string progress_text(const Plan& plan, const RunStore& store) {
  std::int64_t finished = 0, planned = 0;
  for (const Group& group : plan.groups) {
    for (const PlannedRun& run : group.runs) {
      ++planned;
      finished += store.status(run) == RunStatus::finished;
    }
  }
  return std::to_string(finished) + " of " + counted(planned, "run");
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M", &local);
  return text;
}

// Beside the installed programs, or in the tree that this was built from.
std::string plot_script() {
  for (const std::string& path : {program_folder() + "/../share/actgrad/plot", std::string(ACTGRAD_SCRIPTS) + "/plot"})
    if (fs::exists(path)) return path;
  return "";
}

}  // namespace

std::string draw_picture(const Plan& plan, const RunStore& store) {
  constexpr int packages_missing = 77;
  const std::string script = plot_script();
  if (script.empty()) return "scripts/plot is not there";
  const std::string log = store.out() + "/logs/plot-" + plan.name + ".log";
  make_folder(store.out() + "/logs");
  fs::remove(log);
  int code = 0;
  {
    const FileLock output(log);
    ChildProcess process({"/usr/bin/env", "python3", script, store.out() + "/" + plan.name}, output.file());
    code = process.wait();
  }
  if (code == 0) return "";
  std::string last;
  std::ifstream file(log);
  for (std::string line; std::getline(file, line);)
    if (!line.empty()) last = line;
  return code == 127 ? "there is no python3" : last + (code == packages_missing || code == 2 ? "" : " (" + log + ")");
}

std::string report_page(const std::vector<Plan>& plans, const RunStore& store) {
  std::string text =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Reproduction of "
      "AdaAct</title>\n"
      "<style>" +
      std::string(style) + "</style>\n</head>\n<body>\n<h1>Reproduction of AdaAct</h1>\n<p>actgrad " +
      html_text(version() + " (" + commit() + ")") + ", " + today() + "</p>\n<ul>\n";
  for (const Plan& plan : plans)
    text += "<li><a href=\"#" + html_text(plan.name) + "\">" + html_text(plan.title) +
            "</a>: " + progress_text(plan, store) +
            (plan.mark.empty() ? "" : " <span class=\"mark\">" + html_text(plan.mark) + "</span>") + "</li>\n";
  text += "</ul>\n";
  for (const Plan& plan : plans) text += section(plan, store);
  return text + "</body>\n</html>\n";
}

int write_report(const Arguments& arguments) {
  const CommandLine line{
      "reproduce report",
      "reproduce report --out DIR",
      "Tables, pictures (scripts/plot) and one HTML page of all experiments in a folder.",
      {},
      {{"Options",
        {out_option(), {.option = {"pictures", true, "draw them; off: show those that are there"}}, help_option()}}}};
  GivenOptions given;
  std::vector<std::string> words;
  if (!parse(line, arguments, given, words)) return 0;
  refuse_words(words);
  const std::string out = out_of(given);
  const RunStore store(out);
  const std::vector<Plan> plans = plans_in(out);
  for (const Plan& plan : plans) {
    write_outputs(plan, store);
    if (value_of(given, "pictures") == "false") continue;
    const std::string reason = draw_picture(plan, store);
    if (!reason.empty()) std::printf("%s: no picture: %s\n", plan.name.c_str(), reason.c_str());
  }
  const std::string page = store.out() + "/report.html";
  write_file_atomically(page, report_page(plans, store));
  std::printf("%s\n", page.c_str());
  return 0;
}

}  // namespace actgrad::reproduce
