#include "data/data_file.h"

#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/error.h"

namespace actgrad {

DataFile::DataFile(const std::string& path) : path_(path), file_(gzopen(path.c_str(), "rbe")) {
  if (!file_) throw UserError("cannot read " + path + ": " + std::strerror(errno));
  gzbuffer(file_, 1 << 17);
}

DataFile::~DataFile() {
  gzclose_r(file_);
}

void DataFile::fail(const std::string& message) const {
  throw UserError(path_ + ": " + message);
}

std::size_t DataFile::read_some(void* to, std::size_t bytes) {
  std::size_t done = 0;
  while (done < bytes) {
    const unsigned part = static_cast<unsigned>(std::min<std::size_t>(bytes - done, 1 << 30));
    const int count = gzread(file_, static_cast<char*>(to) + done, part);
    if (count > 0) done += static_cast<std::size_t>(count);
    if (count >= 0 && static_cast<unsigned>(count) == part) continue;

    int error = Z_OK;
    gzerror(file_, &error);
    if (error == Z_ERRNO) fail(std::strerror(errno));
    if (error == Z_BUF_ERROR) fail("truncated: its compressed data ends too early");
    if (error != Z_OK) fail("damaged: its compressed data is not valid");
    break;
  }
  read_ += done;
  return done;
}

void DataFile::read(void* to, std::size_t bytes) {
  if (read_some(to, bytes) < bytes)
    fail("truncated: expected " + std::to_string(expected_) + " bytes, has " + std::to_string(read_));
}

void DataFile::finish() {
  char surplus[4096];
  while (read_some(surplus, sizeof surplus) > 0) continue;
  if (read_ > expected_)
    fail("too long: expected " + std::to_string(expected_) + " bytes, has " + std::to_string(read_));
}

}  // namespace actgrad
