#include "program.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <tuple>

namespace fs = std::filesystem;

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (fs::temp_directory_path() / "actgrad-test-XXXXXX").string();
  if (!::mkdtemp(pattern.data())) throw std::runtime_error("no temporary folder");
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

namespace {

// A pseudo terminal of 100 columns: (our end, the program's end).
std::pair<int, int> open_terminal() {
  const int ours = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (ours < 0 || ::grantpt(ours) != 0 || ::unlockpt(ours) != 0) throw std::runtime_error("no pseudo terminal");
  const int theirs = ::open(::ptsname(ours), O_RDWR | O_NOCTTY | O_CLOEXEC);
  winsize size{};
  size.ws_col = 100;
  size.ws_row = 30;
  ::ioctl(ours, TIOCSWINSZ, &size);
  return {ours, theirs};
}

}  // namespace

Program::Program(const std::string& name, const std::string& arguments, const ProgramSettings& settings) {
  std::vector<std::string> words = {std::string(ACTGRAD_PROGRAMS) + "/" + name};
  std::istringstream stream(arguments);
  for (std::string word; stream >> word;) words.push_back(word);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  int theirs = -1;
  if (settings.terminal) std::tie(terminal_, theirs) = open_terminal();
  const std::string folder = settings.folder.empty() ? output_.path() : settings.folder;
  const std::string out = output_.file("stdout"), err = output_.file("stderr");
  int started[2];  // closed by execv: until then a signal would meet a copy of this test, not the program
  if (::pipe2(started, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
  process_ = ::fork();
  if (process_ < 0) throw std::runtime_error("fork");
  if (process_ == 0) {
    ::putenv(const_cast<char*>("OMP_WAIT_POLICY=passive"));  // tests share the machine with each other
    const int out_file = settings.terminal ? theirs : ::open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    const int err_file = ::open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ::dup2(out_file, STDOUT_FILENO);
    ::dup2(err_file, STDERR_FILENO);
    for (const std::string& variable : settings.environment) ::putenv(const_cast<char*>(variable.c_str()));
    if (settings.file_size_limit >= 0) {
      const rlimit limit = {static_cast<rlim_t>(settings.file_size_limit),
                            static_cast<rlim_t>(settings.file_size_limit)};
      ::setrlimit(RLIMIT_FSIZE, &limit);
    }
    if (::chdir(folder.c_str()) == 0) ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  if (theirs >= 0) ::close(theirs);
  ::close(started[1]);
  char nothing;
  while (::read(started[0], &nothing, 1) < 0 && errno == EINTR) {
  }
  ::close(started[0]);
}

Program::~Program() {
  if (process_ > 0) {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }
  if (terminal_ >= 0) ::close(terminal_);
}

void Program::send(int signal) {
  if (process_ > 0) ::kill(process_, signal);
}

bool Program::running() {
  if (process_ <= 0) return false;
  int status = 0;
  if (::waitpid(process_, &status, WNOHANG) != process_) return true;
  collect(status);
  return false;
}

Result Program::wait() {
  if (process_ > 0) {
    char buffer[4096];  // a terminal must be read, or the program stops at a full buffer
    while (terminal_ >= 0) {
      const ssize_t count = ::read(terminal_, buffer, sizeof buffer);
      if (count <= 0) break;  // EIO: the program has closed its end
      result_.out.append(buffer, static_cast<std::size_t>(count));
    }
    int status = 0;
    ::waitpid(process_, &status, 0);
    collect(status);
  }
  return result_;
}

void Program::collect(int status) {
  process_ = -1;
  result_.code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  if (terminal_ < 0) result_.out = contents(output_.file("stdout"));
  result_.err = contents(output_.file("stderr"));
}

Result run(const std::string& name, const std::string& arguments, const ProgramSettings& settings) {
  return Program(name, arguments, settings).wait();
}

void pause_briefly() {
  ::usleep(2000);
}

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void write(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

std::string without_times(const std::string& metrics) {
  std::istringstream lines(metrics);
  std::string result;
  for (std::string line; std::getline(lines, line);) {
    for (int column = 0; column < 3; ++column) line.resize(std::min(line.rfind(','), line.size()));
    result += line + "\n";
  }
  return result;
}
