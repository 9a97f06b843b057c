// Writing files so that a crash, a kill or a full disk never leaves half of one.
#pragma once

#include <cstddef>
#include <string>

namespace actgrad {

// A file under construction: bytes go to a temporary file beside `path`; commit() flushes it to the disk and renames it
// to `path`. Without commit() (an exception, say) the temporary file is removed and what stood at `path` stays.
class AtomicFile {
 public:
  explicit AtomicFile(const std::string& path);  // throws UserError when the folder cannot be written
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, std::size_t bytes);  // throws UserError: "cannot write PATH: No space left on device"
  void commit();                                    // the same

 private:
  [[noreturn]] void fail() const;
  std::string path_;
  std::string temporary_;
  int descriptor_ = -1;
};

// The whole text at once.
void write_file_atomically(const std::string& path, const std::string& text);

// Waits until what was written to a file is on the disk. Throws UserError: "cannot write PATH: …".
void wait_for_disk(const std::string& path);

// The whole file. Throws UserError: "cannot read PATH: No such file or directory".
std::string read_file(const std::string& path);

}  // namespace actgrad
