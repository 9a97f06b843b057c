// The real programs on the CUDA device.
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "test/apps/program.h"
#include "test/cuda/parity.h"

using namespace actgrad::test;

namespace {

const std::string small = " --data synthetic --train-samples 90 --test-samples 20 --batch-size 8 --epochs 2 ";

void check_code(const Result& result, int code) {
  INFO(result.out << result.err);
  CHECK(result.code == code);
}

std::string metrics_of(const std::string& folder) {
  return without_times(contents(folder + "/metrics.csv"));
}

}  // namespace

TEST_CASE("train gives the same bits with and without a graph, and evaluate reads its weights on both devices") {
  if (watched() || !cuda_device()) return;
  TemporaryFolder folder;
  const std::string arguments = "--device cuda --model lenet5 --optim adaact" + small;
  check_code(run("train", arguments + "--out " + folder.file("graph")), 0);
  check_code(run("train", arguments + "--no-graph --out " + folder.file("plain")), 0);
  CHECK(metrics_of(folder.file("graph")) == metrics_of(folder.file("plain")));
  CHECK(contents(folder.file("graph") + "/model.safetensors") == contents(folder.file("plain") + "/model.safetensors"));

  const Result there = run("evaluate", folder.file("graph") + " --device cuda --json");
  const Result here = run("evaluate", folder.file("graph") + " --device cpu --json");
  check_code(there, 0);
  check_code(here, 0);
  const auto accuracy = [](const Result& r) { return r.out.substr(r.out.find("test_accuracy")); };
  CHECK(accuracy(there) == accuracy(here));
}

TEST_CASE("a run on the device that was stopped goes on to the same bits") {
  if (watched() || !cuda_device()) return;
  TemporaryFolder folder;
  const std::string arguments = "--device cuda --model mlp --hidden 16 --optim adam --accumulate 2" + small;
  check_code(run("train", arguments + "--out " + folder.file("whole")), 0);
  const std::string stopped = folder.file("stopped");
  {
    Program program("train", arguments + "--out " + stopped);
    REQUIRE(wait_until([&] { return std::filesystem::exists(stopped + "/checkpoint.safetensors"); }));
    program.send(SIGINT);
    program.wait();
  }
  check_code(run("train", "--resume " + stopped), 0);
  CHECK(metrics_of(stopped) == metrics_of(folder.file("whole")));
  CHECK(contents(stopped + "/model.safetensors") == contents(folder.file("whole") + "/model.safetensors"));
}

TEST_CASE("bench times steps on the device, recorded or not") {
  if (watched() || !cuda_device()) return;
  for (const std::string graph : {"", " --no-graph"}) {
    const Result result = run("bench",
                              "step --device cuda --model lenet5 --optim sgd,adaact --batch-size 2 --steps 2 "
                              "--warmup 2 --precision tf32" +
                                  graph);
    check_code(result, 0);
    CHECK(result.out.find("cuda:0") != std::string::npos);
    CHECK(result.out.find("tf32") != std::string::npos);
  }
}

TEST_CASE("a step is counted alike on the CPU and on the device, where it has launches too") {
  if (watched() || !cuda_device()) return;
  const auto counted = [](const std::string& device) {
    const Result result = run("bench",
                              "step --model resnet20 --optim adaact --batch-size 2 --steps 1 --warmup 0 --conv im2col "
                              "--no-graph --json --device " +
                                  device);
    check_code(result, 0);
    return nlohmann::json::parse(result.out);
  };
  const auto here = counted("cpu"), there = counted("cuda");
  CHECK(there["bytes_moved"] == here["bytes_moved"]);
  CHECK(there["flops"] == here["flops"]);
  CHECK(here["launches"] == 0);
  // At least one for each of 21 convolutions and 21 normalisations in both directions.
  CHECK(there["launches"].get<int>() > 84);
  CHECK(there["roofline_ms"].get<double>() > 0);
}

TEST_CASE("devices and precisions that are not there end with one line") {
  if (!cuda_device()) return;
  for (const std::string wrong :
       {"--device cuda:7", "--device cuda:x", "--device gpu", "--device cpu --precision tf32"}) {
    const Result result = run("train", wrong + small);
    check_code(result, 2);
    CAPTURE(result.err);
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
  }
}
