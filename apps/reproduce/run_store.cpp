#include "apps/reproduce/run_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "core/error.h"
#include "core/split.h"

namespace actgrad::reproduce {
namespace {

namespace fs = std::filesystem;

// The JSON object in a file; null when there is none that can be read.
Json read_object(const fs::path& path) {
  std::ifstream file(path);
  if (!file) return {};
  const Json json = Json::parse(file, nullptr, /*allow_exceptions=*/false);
  return json.is_object() ? json : Json();
}

// Options in which most runs differ.
std::string key_of(const Json& options) {
  std::string key;
  for (const char* name : {"seed", "optim", "model", "data", "epochs", "task", "steps", "starts"})
    key += options.value(name, Json()).dump() + " ";
  return key;
}

// What an option was in runs of a time when it did not exist yet: its default.
bool same_options(const Json& identity, const Json& options) {
  const Program& program = program_of(identity);
  for (const auto& [name, value] : identity.items())
    if (value != (options.contains(name) ? options.at(name) : program.fallback(name, identity))) return false;
  return true;
}

bool recorded(const PlannedRun& run, const Json& options) {
  const std::vector<std::string> words = split(options.value("record", ""));
  const std::set<std::string> there(words.begin(), words.end());
  return std::includes(there.begin(), there.end(), run.record.begin(), run.record.end()) &&
         (run.save_every == 0 || options.value("save-every", std::int64_t{0}) == run.save_every);
}

}  // namespace

std::string name_of(RunStatus status) {
  switch (status) {
    case RunStatus::waiting: return "waiting";
    case RunStatus::running: return "running";
    case RunStatus::interrupted: return "interrupted";
    case RunStatus::finished: return "finished";
    case RunStatus::failed: return "failed";
  }
  return "";
}

std::vector<Epoch> read_metrics(const std::string& directory) {
  std::ifstream file(directory + "/metrics.csv");
  std::vector<Epoch> epochs;
  std::string line;
  std::getline(file,
               line);  // epoch,lr,train_loss,train_accuracy,test_loss,test_accuracy,train_seconds,elapsed_seconds,…
  while (std::getline(file, line)) {
    std::replace(line.begin(), line.end(), ',', ' ');
    std::istringstream values(line);
    Epoch epoch;
    double skipped;
    values >> epoch.number >> skipped >> skipped >> skipped >> skipped >> epoch.test_accuracy >> epoch.train_seconds >>
        epoch.elapsed_seconds;
    if (!values) break;
    epochs.push_back(epoch);
  }
  return epochs;
}

// train writes metrics.csv after each epoch, and optimise the summary after each start.
Done read_done(const RunFolder& folder) {
  if (program_of(folder.config.at("options")).name == "train") {
    const std::vector<Epoch> epochs = read_metrics(folder.path);
    return epochs.empty() ? Done() : Done{std::ssize(epochs), epochs.back().elapsed_seconds};
  }
  const Json summary = read_summary(folder.path);
  return {summary.value("starts", std::int64_t{0}), summary.value("elapsed_seconds", 0.0)};
}

Json read_summary(const std::string& directory) {
  const Json summary = read_object(directory + "/summary.json");
  return summary.is_object() ? summary : Json::object();
}

std::optional<RunFolder> read_folder(const std::string& path) {
  std::error_code error;
  if (!fs::exists(path + "/config.json", error)) return {};
  const Json config = read_object(path + "/config.json");
  if (!config.is_object() || !config.value("options", Json()).is_object())
    throw UserError(path + "/config.json: not the options of a run");
  const Json& options = config.at("options");
  const Json summary = read_summary(path);
  const std::string& parts = program_of(options).parts;
  std::string file = "config.json";
  try {  // whatever is read of these files later has the right type
    for (const char* name : {"version", "commit"}) config.value(name, "");
    for (const char* name : {"cpu", "cores"}) config.value("machine", Json::object()).value(name, "");
    for (const char* name : {"record", "device", "precision"}) options.value(name, "");
    for (const char* name : {"save-every", "threads"}) options.value(name, std::int64_t{0});
    const auto wanted = options.value(parts, std::int64_t{0});
    file = "summary.json";
    for (const char* name : {"elapsed_seconds", "optimizer_state_bytes", "best_test_accuracy", "last_test_accuracy"})
      summary.value(name, 0.0);
    return RunFolder{path, config, summary.value(parts, std::int64_t{-1}) == wanted};
  } catch (const Json::exception& odd) {
    throw UserError(path + "/" + file + ": not a run's (" + odd.what() + ")");
  }
}

void make_folder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) throw UserError("cannot create " + path + ": " + error.message());
}

RunStore::RunStore(std::string out) : out_(std::move(out)) {
  while (out_.size() > 1 && out_.back() == '/') out_.pop_back();
  refresh();
}

void RunStore::refresh() {
  folders_.clear();
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(out_ + "/runs", error)) {
    try {
      if (const std::optional<RunFolder> folder = read_folder(entry.path().string()))
        folders_.emplace(key_of(folder->config.at("options")), *folder);
    } catch (const UserError& reason) {
      warn_once(std::string(reason.what()) + "; this run does not count");
    }
  }
}

const RunFolder* RunStore::find(const PlannedRun& run) const {
  const RunFolder* best = nullptr;
  std::int64_t most = 0;
  const auto [begin, end] = folders_.equal_range(key_of(run.identity));
  for (auto entry = begin; entry != end; ++entry) {
    const RunFolder& folder = entry->second;
    const Json& options = folder.config.at("options");
    if (!same_options(run.identity, options) || !recorded(run, options)) continue;
    if (folder.finished) return &folder;
    const std::int64_t done = read_done(folder).parts;
    if (best && done <= most) continue;
    best = &folder;
    most = done;
  }
  return best;
}

RunStatus RunStore::status(const PlannedRun& run, std::string* why_failed) const {
  const RunFolder* folder = find(run);
  if (folder && folder->finished) return RunStatus::finished;
  if (is_locked(log(run.name)) || (folder && is_locked(folder->path + "/lock"))) return RunStatus::running;
  // Read in the moment in which it is there: another process that tries the run again removes it.
  if (std::ifstream file(failure(run.name)); file) {
    if (why_failed) why_failed->assign(std::istreambuf_iterator<char>(file), {});
    return RunStatus::failed;
  }
  return folder ? RunStatus::interrupted : RunStatus::waiting;
}

FileLock::FileLock(const std::string& path)
    : file_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) {
  if (file_ < 0) throw UserError("cannot write " + path + ": " + std::strerror(errno));
  held_ = ::flock(file_, LOCK_EX | LOCK_NB) == 0;
  if (!held_ && errno != EWOULDBLOCK) throw UserError("cannot lock " + path + ": " + std::strerror(errno));
}

FileLock::FileLock(FileLock&& other) noexcept
    : file_(std::exchange(other.file_, -1)), held_(std::exchange(other.held_, false)) {}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(file_, other.file_);
  std::swap(held_, other.held_);
  return *this;
}

FileLock::~FileLock() {
  if (file_ >= 0) ::close(file_);
}

bool is_locked(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  const bool locked = ::flock(file, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(file);
  return locked;
}

}  // namespace actgrad::reproduce
