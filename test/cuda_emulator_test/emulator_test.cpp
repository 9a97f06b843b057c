// The emulator: correct kernels pass in every order, planted bugs are caught.
#include "test/cuda_emulator/emulator.h"

#include <algorithm>
#include <csignal>
#include <string>

#include "test/catch.h"
#include "test/cuda_emulator_test/behaviour.h"
#include "test/cuda_emulator_test/planted_bugs.h"
#include "test/cuda_emulator_test/workloads.h"

using namespace actgrad;
using namespace actgrad::test;

namespace {

// What a run of the bug shows: a message of the emulator, "wrong result", or "nothing".
std::string finding(const PlantedBug& bug, std::uint64_t seed) {
  cuda_emulator::set_seed(seed);
  try {
    return bug.run() ? "nothing" : "wrong result";
  } catch (const InternalError& error) {
    return error.what();
  }
}

}  // namespace

TEST_CASE("correct kernels give the right result in every order") {
  const std::uint64_t drawn = cuda_emulator::seed();  // another one in every run of this program, or the one asked for
  for (std::uint64_t i = 0; i < 8; ++i) {
    const std::uint64_t seed = i == 0 ? drawn : i;
    cuda_emulator::set_seed(seed);
    for (const Workload& workload : workloads()) {
      INFO(workload.name << ", ACTGRAD_EMULATOR_SEED=" << seed);
      CHECK(workload.run());
    }
  }
  cuda_emulator::set_seed(drawn);
}

TEST_CASE("planted bugs are caught") {
  int caught = 0;
  for (const PlantedBug& bug : planted_bugs()) {
    INFO(bug.name);
    if (cuda_emulator::checked()) {  // whatever the order
      for (std::uint64_t seed = 1; seed <= 4; ++seed) {
        const std::string found = finding(bug, seed);
        INFO("ACTGRAD_EMULATOR_SEED=" << seed);
        const std::string wanted = bug.checked;
        const std::size_t end = wanted.find('|');
        const std::string first = wanted.substr(0, end),
                          other = end == std::string::npos ? first : wanted.substr(end + 1);
        CHECK_THAT(found, ContainsSubstring(first) || ContainsSubstring(other));
      }
      ++caught;
    } else if (bug.seen != nullptr) {  // in one order or another
      std::string all;
      for (std::uint64_t seed = 1; seed <= 16; ++seed) all += finding(bug, seed) + "\n";
      CHECK_THAT(all, ContainsSubstring(bug.seen));
      ++caught;
    }
  }
  CHECK(caught >= 25);
}

TEST_CASE("errors name kernel, block, thread, place and seed") {
  cuda_emulator::set_seed(3);
  std::string message;
  try {
    write_behind_the_end();
  } catch (const cuda_emulator::KernelError& error) {
    message = error.what();
  }
  CAPTURE(message);
  CHECK_THAT(message, ContainsSubstring("kernel ") && ContainsSubstring("one_writer_kernel"));
  CHECK_THAT(message, ContainsSubstring("block (2,1,0), thread (5,0,0)"));
  CHECK_THAT(message, ContainsSubstring("behaviour.cu:"));
  CHECK_THAT(message, ContainsSubstring("4000 bytes behind the end of an allocation of 96 bytes"));
  CHECK_THAT(message, ContainsSubstring("ACTGRAD_EMULATOR_SEED=3, launch 1)"));
  CHECK(survives());  // an error leaves nothing behind
}

TEST_CASE("a race is reported with both sides") {
  if (!cuda_emulator::checked()) return;
  std::string message;
  try {
    race_of_two_lines();
  } catch (const cuda_emulator::KernelError& error) {
    message = error.what();
  }
  CAPTURE(message);
  const std::size_t first = message.find("behaviour.cu:"), second = message.rfind("behaviour.cu:");
  CHECK(first != std::string::npos);
  CHECK(first != second);
  CHECK_THAT(message, ContainsSubstring("the other is block (0,0,0), thread"));
}

TEST_CASE("the seed decides the order") {
  const auto order = [](std::uint64_t seed) {
    cuda_emulator::set_seed(seed);
    return order_of_threads();
  };
  CHECK(order(1) == order(1));
  CHECK(order(1) != order(2));
  std::vector<int> sorted = order(1);
  CHECK_FALSE(std::is_sorted(sorted.begin(), sorted.end()));
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t i = 0; i < sorted.size(); ++i) CHECK(sorted[i] == static_cast<int>(i));
}

TEST_CASE("shared memory is full of NaN before every block") {
  if (!cuda_emulator::checked()) CHECK(blocks_that_see_nan() == 8);  // the checker does not let anyone look
}

TEST_CASE("graphs replay launches, copies and fills with the arguments of their capture") {
  CHECK(graph_counts() == std::vector<int>{13, 23, 33});
  CHECK(captured_copy() == std::vector<int>{7, 8, 0, 8});
  CHECK(joined_streams() == std::vector<int>{1, 2});
}

TEST_CASE("lazy streams work when somebody waits") {
  CHECK(before_and_after_waiting() == std::vector<int>{cuda_emulator::lazy() ? 0 : 1, 1});
}

TEST_CASE("the host cannot touch device memory") {
  if (cuda_emulator::host_is_kept_out()) CHECK(signal_of_host_access() == SIGSEGV);
}

TEST_CASE("a stand-in of a library is held to what it may touch") {
  CHECK_THROWS_WITH(library_reads_too_much(), ContainsSubstring("not within one allocation"));
  CHECK(library_result_is_readable());
}
