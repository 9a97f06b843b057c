#include "apps/training/step_recorder.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

#include "core/atomic_file.h"
#include "core/error.h"

namespace actgrad {
namespace {

using Place = std::pair<std::int64_t, std::int64_t>;  // epoch, step, both from 1

// The whole rows of a file's `text` behind its header, up to `end`, each once.
std::vector<std::string> rows_until(const Place& end, const std::string& header, const std::string& text) {
  const auto commas = [](const std::string& line) { return std::count(line.begin(), line.end(), ','); };
  std::vector<std::string> rows;
  Place last{0, 0};
  for (std::size_t begin = header.size(), stop; (stop = text.find('\n', begin)) != std::string::npos;
       begin = stop + 1) {
    const std::string line = text.substr(begin, stop + 1 - begin);
    Place place{0, 0};
    char comma = 0;
    std::istringstream(line) >> place.first >> comma >> place.second;
    if (commas(line) != commas(header) || place <= last || place > end) continue;
    rows.push_back(line);
    last = place;
  }
  return rows;
}

}  // namespace

StepFile::StepFile(const std::string& directory, const StepRecorder& recorder, std::int64_t epochs, std::int64_t steps,
                   std::int64_t steps_per_epoch)
    : path_(directory + "/" + recorder.file_name()), recorder_(recorder), written_(steps) {
  std::string text = recorder.csv_header();
  if (epochs > 0 || steps > 0) {
    const std::string before = read_file(path_);
    if (before.compare(0, text.size(), text) != 0) throw UserError(path_ + ": not a record of this run");
    const std::vector<std::string> rows = rows_until({epochs + 1, steps}, text, before);
    for (const std::string& row : rows) text += row;
    const std::int64_t wanted = epochs * recorder.rows(0, steps_per_epoch) + recorder.rows(0, steps);
    if (std::ssize(rows) < wanted)
      warn_once(path_ + " lacks " + std::to_string(wanted - std::ssize(rows)) + " of the " + std::to_string(wanted) +
                " rows of the steps that are done, and goes on without them");
  }
  write_file_atomically(path_, text);
}

void StepFile::append(std::int64_t epoch, std::int64_t steps, bool complete) {
  std::ofstream file(path_, std::ios::app);
  file << recorder_.csv_rows(epoch, written_, steps);
  file.close();
  if (!file) throw UserError("cannot write " + path_ + ": " + std::strerror(errno));
  wait_for_disk(path_);  // the checkpoint that follows counts on these rows: a power cut must not take them away
  written_ = complete ? 0 : steps;
}

}  // namespace actgrad
