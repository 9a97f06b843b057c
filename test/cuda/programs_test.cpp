// The real programs on the CUDA device.
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/safetensors.h"
#include "test/apps/program.h"
#include "test/cuda/parity.h"

using namespace actgrad::test;

namespace {

const std::string small = " --data synthetic --train-samples 90 --test-samples 20 --batch-size 8 --epochs 2 ";

void check_code(const Result& result, int code) {
  INFO(result.out << result.err);
  CHECK(result.code == code);
}

// One line "PROGRAM: …", exit code 2.
void check_refused(const Result& result, const std::string& part) {
  check_code(result, 2);
  CAPTURE(result.err, part);
  CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
  CHECK(result.err.find(part) != std::string::npos);
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
    // There is a checkpoint before the first step: the signal comes in the first epoch.
    REQUIRE(wait_until([&] { return std::filesystem::exists(stopped + "/checkpoint.safetensors"); }));
    program.send(SIGINT);
    program.wait();
  }
  check_code(run("train", "--resume " + stopped), 0);
  CHECK(metrics_of(stopped) == metrics_of(folder.file("whole")));
  CHECK(contents(stopped + "/model.safetensors") == contents(folder.file("whole") + "/model.safetensors"));
}

TEST_CASE("a tuned run resumes with the algorithms that it began with") {
  if (watched() || !cuda_device()) return;
  TemporaryFolder folder;
  const std::string arguments = "--device cuda --model lenet5 --optim sgd --autotune" + small;
  const std::string whole = folder.file("whole"), stopped = folder.file("stopped");
  check_code(run("train", arguments + "--out " + whole), 0);
  const auto tuned = [](const std::string& path) {
    const auto metadata = actgrad::read_tensor_file(path + "/checkpoint.safetensors").metadata;
    return nlohmann::json::parse(metadata.at("tuned"));
  };
  // Two convolutions in batches of 8, of 2 at the epoch's end, and of 20 in the test; no gradient of the images.
  CHECK(tuned(whole).size() == 2 * (2 + 3) + 2);
  CHECK(run("train", "--resume " + whole + " --no-autotune").err.find("--autotune cannot change on resuming") !=
        std::string::npos);

  check_code(run("train", arguments + "--epochs 1 --schedule constant --out " + stopped), 0);
  // The same choices, whatever the clock says: those of the run that goes on. (An uninterrupted one may choose others.)
  const auto before = tuned(stopped);
  std::filesystem::copy(stopped, folder.file("twin"), std::filesystem::copy_options::recursive);
  for (const std::string& run_folder : {stopped, folder.file("twin")}) {
    check_code(run("train", "--resume " + run_folder + " --epochs 2"), 0);
    CHECK(tuned(run_folder) == before);
  }
  CHECK(contents(stopped + "/model.safetensors") == contents(folder.file("twin") + "/model.safetensors"));

  // Choices of a cuDNN that is not this one.
  const std::string path = stopped + "/checkpoint.safetensors";
  actgrad::TensorFile file = actgrad::read_tensor_file(path);
  auto foreign = before;
  for (auto& choice : foreign) choice = "cuDNN 1.2.3, algorithm 1, math 0";
  file.metadata["tuned"] = foreign.dump();
  actgrad::write_tensor_file(path, file, /*checksum=*/true);
  const Result refused = run("train", "--resume " + stopped + " --epochs 3");  // says too that there are more epochs
  check_code(refused, 2);
  CHECK(refused.err.find("\ntrain: a convolution was tuned to 'cuDNN 1.2.3, ") != std::string::npos);
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
  for (const auto& [wrong, part] : std::vector<std::pair<std::string, std::string>>{
           {"--device cuda:7", "device 'cuda:7': there "},
           {"--device cuda:x", "unknown device 'cuda:x'"},
           {"--device gpu", "unknown device 'gpu'"},
           {"--device cpu --precision tf32", "--precision tf32: only on a CUDA device"},
           {"--device cpu --autotune", "--autotune: only on a CUDA device"},
           {"--device cpu --fast-nondeterministic", "--fast-nondeterministic: only on a CUDA device"}})
    check_refused(run("train", wrong + small), part);
}

#ifdef ACTGRAD_CUDA_CHECKED  // the emulator can play a machine that is not as it should be
TEST_CASE("a missing driver, a missing or an old device end with one line, and auto does without") {
  for (const auto& [fails, part] : std::vector<std::pair<std::string, std::string>>{
           {"no-driver", "device 'cuda': no CUDA driver is installed"},
           {"old-driver", "device 'cuda': the driver offers CUDA 11.4, this build needs "},
           {"no-device", "device 'cuda': no CUDA device found"},
           {"capability-7.5", "device 'cuda': actgrad emulator has compute capability 7.5, older than 8.0"}}) {
    const ProgramSettings machine{.environment = {"ACTGRAD_EMULATOR_FAILS=" + fails}};
    for (const std::string program : {"train", "bench step"})
      check_refused(run(program.substr(0, 5), program.substr(5) + " --device cuda --model mlp", machine), part);
    const Result result = run("train", "--device auto --dry-run --data synthetic", machine);
    check_code(result, 0);
    CHECK(nlohmann::json::parse(result.out)["options"]["device"] == "cpu");
  }
}

TEST_CASE("a device that fails in the middle of a run ends it with one line; the run goes on from its checkpoint") {
  if (watched()) return;
  TemporaryFolder folder;
  const std::string arguments = "--device cuda --model mlp --hidden 16 --optim adaact" + small;
  check_code(run("train", arguments + "--out " + folder.file("whole")), 0);
  for (const std::string graph : {"", " --no-graph"}) {
    const std::string failed = folder.file("failed" + graph.substr(std::min<std::size_t>(graph.size(), 3)));
    const Result result = run("train", arguments + "--out " + failed + graph,
                              {.environment = {"ACTGRAD_EMULATOR_FAILS=after:" + failed + "/summary.json"}});
    check_code(result, 1);
    CAPTURE(result.err);
    CHECK(result.err.rfind("train: ", 0) == 0);
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
    CHECK(result.err.find("an illegal memory access was encountered") != std::string::npos);
    CHECK(result.err.find("the last good state stays in " + failed + "/checkpoint.safetensors") != std::string::npos);
    CHECK(result.err.find("train --resume " + failed) != std::string::npos);

    const Result resumed = run("train", "--resume " + failed);
    check_code(resumed, 0);
    CHECK(resumed.out.find("resumed after epoch 1, batch 0") != std::string::npos);
    CHECK(metrics_of(failed) == metrics_of(folder.file("whole")));
    CHECK(contents(failed + "/model.safetensors") == contents(folder.file("whole") + "/model.safetensors"));
  }
}
#endif
