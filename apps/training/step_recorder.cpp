#include "apps/training/step_recorder.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "core/atomic_file.h"
#include "core/error.h"

namespace actgrad {

StepFile::StepFile(const std::string& directory, const StepRecorder& recorder, std::int64_t epochs, std::int64_t steps)
    : path_(directory + "/" + recorder.file_name()), recorder_(recorder), written_(steps) {
  std::string text = recorder.csv_header();
  if (epochs > 0 || steps > 0) {
    std::istringstream lines(read_file(path_));
    std::string line;
    std::getline(lines, line);
    if (line + "\n" != text) throw UserError(path_ + ": not a record of this run");
    while (std::getline(lines, line)) {
      std::int64_t epoch = 0, step = 0;
      char comma = 0;
      std::istringstream(line) >> epoch >> comma >> step;
      if (epoch <= epochs || (epoch == epochs + 1 && step <= steps)) text += line + "\n";
    }
  }
  write_file_atomically(path_, text);
}

void StepFile::append(std::int64_t epoch, std::int64_t steps, bool complete) {
  std::ofstream file(path_, std::ios::app);
  file << recorder_.csv_rows(epoch, written_, steps);
  file.close();
  if (!file) throw UserError("cannot write " + path_ + ": " + std::strerror(errno));
  written_ = complete ? 0 : steps;
}

}  // namespace actgrad
