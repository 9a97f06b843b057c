// scripts/get_data, without a network: its messages, and the way from an archive to the files.
#include <sys/wait.h>

#include <cstdlib>

#include "core/atomic_file.h"
#include "test/catch.h"
#include "test/core/temporary_folder.h"

using namespace actgrad;

namespace {

const std::string path = ACTGRAD_SOURCE "/scripts/get_data";
const std::string script = "'" + path + "'";

struct Outcome {
  int code;
  std::string output;  // stdout and stderr
};

Outcome shell(const TemporaryFolder& folder, const std::string& command) {
  const int status = std::system(("(" + command + ") >" + folder.file("output") + " 2>&1").c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(folder.file("output"))};
}

// Replaces every `from` of `text`.
std::string replaced(std::string text, const std::string& from, const std::string& to) {
  std::size_t found = text.find(from);
  REQUIRE(found != std::string::npos);
  for (; found != std::string::npos; found = text.find(from, found + to.size())) text.replace(found, from.size(), to);
  return text;
}

}  // namespace

TEST_CASE("get_data explains its usage in one line") {
  const TemporaryFolder folder;
  const std::string usage = "usage: scripts/get_data cifar10|cifar100|fashion-mnist|mnist [DIR]\n";
  Outcome outcome = shell(folder, script);
  CHECK(outcome.code == 2);
  CHECK(outcome.output == usage);
  outcome = shell(folder, script + " mnist a b");
  CHECK(outcome.code == 2);
  CHECK(outcome.output == usage);
  outcome = shell(folder, script + " --help");
  CHECK(outcome.code == 0);
  CHECK(outcome.output == usage);
  outcome = shell(folder, script + " imagenet");
  CHECK(outcome.code == 2);
  CHECK(outcome.output == "get_data: unknown data set 'imagenet' (known: cifar10, cifar100, fashion-mnist, mnist)\n");
}

TEST_CASE("get_data keeps nothing of a download that failed or has a wrong checksum") {
  const TemporaryFolder folder;
  const std::string name = GENERATE("cifar10", "cifar100", "fashion-mnist", "mnist");
  const std::string command =
      "ACTGRAD_MIRROR=file://" + folder.file("mirror") + " " + script + " " + name + " " + folder.file("data");
  Outcome outcome = shell(folder, command);
  CHECK(outcome.code == 1);
  CHECK_THAT(outcome.output, ContainsSubstring("get_data: cannot read file://" + folder.file("mirror")));
  for (const char* archive : {"cifar-10-binary.tar.gz", "cifar-100-binary.tar.gz", "train-images-idx3-ubyte.gz"})
    folder.write(std::string("mirror/") + archive, "no such archive");
  outcome = shell(folder, command);
  CHECK(outcome.code == 1);
  CHECK_THAT(outcome.output, ContainsSubstring("has a wrong checksum (md5); nothing was kept"));
  CHECK(std::filesystem::is_empty(folder.file("data")));
}

TEST_CASE("get_data unpacks an archive, and leaves a set alone that is there") {
  const TemporaryFolder folder;
  // An archive of 5-byte files in place of the real ones, and a copy of the script that expects it.
  for (const char* file :
       {"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"})
    folder.write(std::string("cifar-10-batches-bin/") + file + ".bin", "12345");
  REQUIRE(shell(folder, "cd " + folder.path() + " && tar -czf cifar-10-binary.tar.gz cifar-10-batches-bin").code == 0);
  const std::string md5 = shell(folder, "md5sum < " + folder.file("cifar-10-binary.tar.gz")).output.substr(0, 32);
  const std::string copy =
      replaced(replaced(read_file(path), "c32a1d4ab5d03f1284b67883e8d87530", md5), "30730000", "5");
  const std::string command = "ACTGRAD_DATA=" + folder.file("data") + " ACTGRAD_MIRROR=file://" + folder.path() +
                              " bash " + folder.write("get_data", copy) + " cifar10";

  const std::string target = folder.file("data") + "/cifar-10-batches-bin";
  Outcome outcome = shell(folder, command);
  CHECK(outcome.code == 0);
  CHECK_THAT(outcome.output, ContainsSubstring("cifar10 is in " + target + "\n"));
  CHECK(read_file(target + "/data_batch_5.bin") == "12345");
  CHECK(std::distance(std::filesystem::directory_iterator(folder.file("data")), {}) == 1);

  folder.write("data/cifar-10-batches-bin/test_batch.bin", "1");  // not whole
  CHECK(shell(folder, command).code == 0);
  CHECK(read_file(target + "/test_batch.bin") == "12345");

  std::filesystem::remove(folder.file("cifar-10-binary.tar.gz"));
  outcome = shell(folder, command);
  CHECK(outcome.code == 0);
  CHECK(outcome.output == "cifar10 is in " + target + " already\n");
}
