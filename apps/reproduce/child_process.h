// A program started by this one, which dies with it.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace actgrad::reproduce {

class ChildProcess {
 public:
  // Starts `words` (the first is the program's path) with its output going to the file `output`. It does not see the
  // terminal's signals, and gets SIGTERM when this process ends, however it does. Throws UserError.
  ChildProcess(const std::vector<std::string>& words, int output);
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ~ChildProcess();

  int ended() const { return alive_; }  // a file that becomes readable (poll) when the process has ended
  void stop();                          // SIGTERM
  int wait();                           // its exit code, or 128 + signal

 private:
  pid_t process_ = -1;
  int alive_ = -1;  // the reading end of a pipe whose other end only the child has
};

// The folder of this program's file, and the number of a signal as people write it: "SIGKILL".
std::string program_folder();
std::string signal_name(int signal);

}  // namespace actgrad::reproduce
