#include "apps/reproduce/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "core/error.h"

namespace actgrad::reproduce {
namespace {

// Between fork and exec: only calls that are safe there.
[[noreturn]] void become(char** words, int output, int alive, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(128 + SIGTERM);  // it died before the line above
  ::setpgid(0, 0);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  const int nothing = ::open("/dev/null", O_RDONLY);
  if (nothing >= 0) ::dup2(nothing, STDIN_FILENO);
  ::fcntl(alive, F_SETFD, 0);  // stays open for as long as the program runs
  ::execv(words[0], words);
  static constexpr char message[] = "reproduce: cannot start the program\n";
  if (::write(STDERR_FILENO, message, sizeof message - 1) < 0) ::_exit(126);
  ::_exit(127);
}

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& words, int output) {
  std::vector<char*> list;
  for (const std::string& word : words) list.push_back(const_cast<char*>(word.c_str()));
  list.push_back(nullptr);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw UserError(std::string("cannot make a pipe: ") + ::strerror(errno));
  std::fflush(nullptr);
  const pid_t parent = ::getpid();
  process_ = ::fork();
  if (process_ == 0) become(list.data(), output, ends[1], parent);
  ::close(ends[1]);
  alive_ = ends[0];
  if (process_ < 0) throw UserError(std::string("cannot start another process: ") + ::strerror(errno));
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : process_(std::exchange(other.process_, -1)), alive_(std::exchange(other.alive_, -1)) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  std::swap(process_, other.process_);
  std::swap(alive_, other.alive_);
  return *this;
}

ChildProcess::~ChildProcess() {
  if (process_ > 0) {
    stop();
    wait();
  }
  if (alive_ >= 0) ::close(alive_);
}

void ChildProcess::stop() {
  if (process_ > 0) ::kill(process_, SIGTERM);
}

int ChildProcess::wait() {
  int status = 0;
  while (::waitpid(process_, &status, 0) < 0 && errno == EINTR) {
  }
  process_ = -1;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

std::string program_folder() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path().string();
}

std::string signal_name(int signal) {
  const char* name = ::sigabbrev_np(signal);
  return name ? std::string("SIG") + name : "signal " + std::to_string(signal);
}

}  // namespace actgrad::reproduce
