#include "core/atomic_file.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>

#include "core/error.h"
#include "test/catch.h"
#include "test/core/temporary_folder.h"

using namespace actgrad;

namespace {

// Stands for a full disk: no file of this process grows beyond `bytes`.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    handler_ = signal(SIGXFSZ, SIG_IGN);  // so that write() fails with EFBIG instead
    getrlimit(RLIMIT_FSIZE, &old_);
    rlimit limit = old_;
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &old_);
    signal(SIGXFSZ, handler_);
  }

 private:
  rlimit old_{};
  void (*handler_)(int) = SIG_DFL;
};

// Signals, without SA_RESTART, every millisecond: system calls return EINTR.
class Interruptions {
 public:
  Interruptions() {
    struct sigaction action {};
    action.sa_handler = [](int) {};
    sigaction(SIGALRM, &action, &old_);
    const itimerval interval{{0, 1000}, {0, 1000}};
    setitimer(ITIMER_REAL, &interval, nullptr);
  }
  ~Interruptions() {
    const itimerval off{};
    setitimer(ITIMER_REAL, &off, nullptr);
    sigaction(SIGALRM, &old_, nullptr);
  }

 private:
  struct sigaction old_ {};
};

}  // namespace

TEST_CASE("a committed file appears whole, and alone") {
  const TemporaryFolder folder;
  const std::string path = folder.file("x.bin");
  AtomicFile file(path);
  const std::string bytes("one\0two", 7);
  file.write(bytes.data(), bytes.size());
  CHECK_FALSE(std::filesystem::exists(path));
  file.write(bytes.data(), bytes.size());
  file.commit();
  CHECK(read_file(path) == bytes + bytes);
  CHECK(folder.count() == 1);
  CHECK_THROWS_AS(file.commit(), InternalError);
}

TEST_CASE("without commit the old file stays, and the temporary one goes") {
  const TemporaryFolder folder;
  const std::string path = folder.write("x", "old");
  {
    AtomicFile file(path);
    file.write("new", 3);
    CHECK(folder.count() == 2);
  }
  CHECK(read_file(path) == "old");
  CHECK(folder.count() == 1);
}

TEST_CASE("two files under construction do not meet") {
  const TemporaryFolder folder;
  AtomicFile first(folder.file("x")), second(folder.file("x"));
  first.write("first", 5);
  second.write("second", 6);
  second.commit();
  first.commit();
  CHECK(read_file(folder.file("x")) == "first");
  CHECK(folder.count() == 1);
}

TEST_CASE("a leftover of an earlier process does not stand in the way") {
  const TemporaryFolder folder;
  // Temporary names count from 0 in each process, and this one has used only a few.
  const std::string path = folder.file("x");
  for (int n = 0; n < 100; ++n) folder.write("x.tmp-" + std::to_string(getpid()) + "-" + std::to_string(n), "left");
  write_file_atomically(path, "new");
  CHECK(read_file(path) == "new");
  CHECK(folder.count() == 101);
}

TEST_CASE("names without a folder mean the current one") {
  const TemporaryFolder folder;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  write_file_atomically("x", "here");
  std::filesystem::current_path(before);
  CHECK(read_file(folder.file("x")) == "here");
}

TEST_CASE("a full disk leaves the old file and says so") {
  const TemporaryFolder folder;
  const std::string path = folder.write("x", "old");
  std::string message;
  {
    const FileSizeLimit limit(5000);
    try {
      write_file_atomically(path, std::string(100000, 'n'));
    } catch (const UserError& error) {
      message = error.what();
    }
  }
  CHECK(message == "cannot write " + path + ": File too large");
  CHECK(read_file(path) == "old");
  CHECK(folder.count() == 1);
}

TEST_CASE("a place that cannot be written is named, with the reason") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH(AtomicFile(folder.file("no/x")),
                    "cannot write " + folder.file("no/x") + ": No such file or directory");
  folder.write("file", "");
  CHECK_THROWS_WITH(AtomicFile(folder.file("file/x")), "cannot write " + folder.file("file/x") + ": Not a directory");
  std::filesystem::create_directory(folder.file("sub"));
  CHECK_THROWS_WITH(write_file_atomically(folder.file("sub"), "text"),
                    "cannot write " + folder.file("sub") + ": Is a directory");
  CHECK(folder.count() == 2);
  CHECK_THROWS_AS(AtomicFile("/proc/x"), UserError);
}

TEST_CASE("signals do not disturb") {
  const TemporaryFolder folder;
  const Interruptions interruptions;
  const std::string text(10'000'000, 's');
  for (int i = 0; i < 3; ++i) {
    write_file_atomically(folder.file("x"), text);
    REQUIRE(read_file(folder.file("x")) == text);
  }
}

TEST_CASE("read_file reads all, or says why not") {
  const TemporaryFolder folder;
  const std::string bytes("a\0b\n", 4);
  CHECK(read_file(folder.write("x", bytes)) == bytes);
  CHECK(read_file(folder.write("empty", "")).empty());
  CHECK_FALSE(read_file("/proc/self/status").empty());  // says that it has no bytes
  CHECK_THROWS_AS(read_file(folder.file("none")), UserError);
  CHECK_THROWS_WITH(read_file(folder.file("none")),
                    "cannot read " + folder.file("none") + ": No such file or directory");
  CHECK_THROWS_WITH(read_file(folder.path()), "cannot read " + folder.path() + ": Is a directory");
}
