// A data file, compressed by gzip or not, read from front to back.
#pragma once

#include <cstdint>
#include <string>

struct gzFile_s;  // zlib's file

namespace actgrad {

class DataFile {
 public:
  explicit DataFile(const std::string& path);  // throws UserError when it cannot be opened
  ~DataFile();
  DataFile(const DataFile&) = delete;
  DataFile& operator=(const DataFile&) = delete;

  // How many bytes the (unpacked) file must have: for the messages below.
  void expect(std::uint64_t bytes) { expected_ = bytes; }
  // The next bytes. Throws UserError: "PATH: truncated: expected 30730000 bytes, has 4096".
  void read(void* to, std::size_t bytes);
  // Throws UserError when there are more bytes than expected.
  void finish();

  // Throws UserError: "PATH: message".
  [[noreturn]] void fail(const std::string& message) const;

 private:
  std::size_t read_some(void* to, std::size_t bytes);  // fewer only at the end of the file
  std::string path_;
  gzFile_s* file_;
  std::uint64_t expected_ = 0;
  std::uint64_t read_ = 0;
};

}  // namespace actgrad
