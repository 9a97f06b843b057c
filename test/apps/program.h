// Running the real programs, in folders of their own.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

struct Result {
  int code = 0;  // exit code, or 128 + signal
  std::string out, err;
};

// A folder that disappears with everything in it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string path() const { return path_.string(); }
  std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

struct ProgramSettings {
  std::string folder = {};                    // to run in; empty: a temporary one
  std::vector<std::string> environment = {};  // "NAME=value", added
  long file_size_limit = -1;                  // bytes; writing more fails as on a full disk
  bool terminal = false;                      // stdout is a (pseudo) terminal, 100 columns wide
};

// A program under way. Its output is collected in files.
class Program {
 public:
  // "train" with arguments as a shell would split them at spaces.
  Program(const std::string& name, const std::string& arguments, const ProgramSettings& settings = {});
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  void send(int signal);
  bool running();
  Result wait();

 private:
  void collect(int status);
  TemporaryFolder output_;
  pid_t process_ = -1;
  int terminal_ = -1;
  Result result_;
};

Result run(const std::string& name, const std::string& arguments, const ProgramSettings& settings = {});

// Waits (a minute at most) until the condition holds.
template <class Condition>
bool wait_until(Condition&& condition);
void pause_briefly();
template <class Condition>
bool wait_until(Condition&& condition) {
  for (int i = 0; i < 30000; ++i) {
    if (condition()) return true;
    pause_briefly();
  }
  return false;
}

std::string contents(const std::string& path);
void write(const std::string& path, const std::string& text);
// A metrics.csv without the columns that a clock or the allocator's history decides.
std::string without_times(const std::string& metrics);
