#include "core/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "core/error.h"

namespace actgrad {
namespace {

// Repeats a system call that a signal interrupted.
template <class Call>
auto retry(Call call) {
  decltype(call()) result;
  do result = call();
  while (result < 0 && errno == EINTR);
  return result;
}

// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }

 private:
  int number_;
};

// Waits for it; some network file systems cannot say (EINVAL), and write when they like.
bool is_on_disk(const Descriptor& file) {
  return retry([&] { return ::fsync(file.number()); }) == 0 || errno == EINVAL;
}

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

AtomicFile::AtomicFile(const std::string& path) : path_(path) {
  static std::atomic<unsigned> counter{0};
  do {  // a name may be taken: left behind by a killed process of the same number
    temporary_ = path + ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(counter++);
    descriptor_ = retry([&] { return ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666); });
  } while (descriptor_ < 0 && errno == EEXIST);
  if (descriptor_ < 0) fail();
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::fail() const {
  throw UserError("cannot write " + path_ + ": " + std::strerror(errno));
}

void AtomicFile::write(const void* data, std::size_t bytes) {
  const char* begin = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = retry([&] { return ::write(descriptor_, begin, bytes); });
    if (written < 0) fail();
    begin += written;
    bytes -= static_cast<std::size_t>(written);
  }
}

void AtomicFile::commit() {
  ACTGRAD_CHECK(descriptor_ >= 0, "committed twice");
  // The bytes must be on the disk before the name is: otherwise a power cut may leave the name with nothing behind it.
  if (retry([&] { return ::fsync(descriptor_); }) < 0) fail();
  const int closed = ::close(descriptor_);
  descriptor_ = -1;  // also after an error, EINTR included: Linux has then released the number
  if (closed < 0 && errno != EINTR) fail();
  if (::rename(temporary_.c_str(), path_.c_str()) < 0) fail();
  temporary_.clear();

  // The new name lasts when the folder is on the disk. A folder that may be written but not read cannot be synced: the
  // system then writes it when it likes.
  const Descriptor folder(retry([&] { return ::open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (folder.number() < 0) return;
  if (!is_on_disk(folder)) fail();
}

void wait_for_disk(const std::string& path) {
  const Descriptor file(retry([&] { return ::open(path.c_str(), O_WRONLY | O_CLOEXEC); }));
  if (file.number() < 0 || !is_on_disk(file)) throw UserError("cannot write " + path + ": " + std::strerror(errno));
}

void write_file_atomically(const std::string& path, const std::string& text) {
  AtomicFile file(path);
  file.write(text.data(), text.size());
  file.commit();
}

std::string read_file(const std::string& path) {
  const auto fail = [&] { throw UserError("cannot read " + path + ": " + std::strerror(errno)); };
  const Descriptor file(retry([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); }));
  struct stat status {};
  if (file.number() < 0 || ::fstat(file.number(), &status) < 0) fail();

  // The size is a hint: the file may grow, and those in /proc claim to be empty.
  std::string text(static_cast<std::size_t>(status.st_size) + 1, '\0');
  std::size_t used = 0;
  while (true) {
    const ssize_t count = retry([&] { return ::read(file.number(), text.data() + used, text.size() - used); });
    if (count < 0) fail();
    if (count == 0) break;
    used += static_cast<std::size_t>(count);
    if (used == text.size()) text.resize(2 * used + 4096);
  }
  text.resize(used);
  return text;
}

}  // namespace actgrad
