// evaluate and bench.
#include <nlohmann/json.hpp>

#include "core/safetensors.h"
#include "program.h"
#include "test/catch.h"

using Json = nlohmann::json;

namespace {

void check_code(const Result& result, int code) {
  INFO(result.out << result.err);
  REQUIRE(result.code == code);
}

Json json_of(const Result& result) {
  check_code(result, 0);
  return Json::parse(result.out);
}

}  // namespace

TEST_CASE("evaluate finds the accuracy that train reported") {
  TemporaryFolder folder;
  const std::string directory = folder.file("run");
  check_code(run("train",
                 "--model lenet5 --optim adam --epochs 2 --data synthetic --train-samples 512 --test-samples 300 "
                 "--threads 1 --out " +
                     directory),
             0);
  const Json summary = Json::parse(contents(directory + "/summary.json"));

  const Json of_run = json_of(run("evaluate", directory + " --json"));
  CHECK(of_run["test_accuracy"] == summary["last_test_accuracy"]);
  CHECK(of_run["test_loss"].get<double>() == Approx(summary["last_test_loss"].get<double>()).epsilon(1e-6));
  CHECK(of_run["images"] == 300);

  const std::string of_file =
      "--model lenet5 --weights " + directory + "/best.safetensors --data synthetic --test-samples 300 ";
  const Json best =
      json_of(run("evaluate", of_file + "--batch-size 70 --json --logits " + folder.file("logits.safetensors")));
  CHECK(best["test_accuracy"] == summary["best_test_accuracy"]);
  const actgrad::TensorFile logits = actgrad::read_tensor_file(folder.file("logits.safetensors"));
  CHECK(logits.find("logits")->shape() == actgrad::Shape{300, 10});

  const Json in_double = json_of(run("evaluate", of_file + "--precision fp64 --json"));
  CHECK(in_double["test_loss"].get<double>() == Approx(best["test_loss"].get<double>()).epsilon(1e-4));
  const Result text = run("evaluate", directory);
  check_code(text, 0);
  CHECK(text.out.find("accuracy") != std::string::npos);
}

TEST_CASE("evaluate and bench refuse what they cannot use") {
  TemporaryFolder folder;
  write(folder.file("weights.safetensors"), "nothing of the kind");
  const auto refused = [&](const std::string& program, const std::string& arguments, const std::string& part) {
    const Result result = run(program, arguments);
    INFO(program << " " << arguments << ": " << result.err);
    CHECK(result.code == 2);
    CHECK(result.err.rfind(program + ": ", 0) == 0);
    CHECK(result.err.find(part) != std::string::npos);
    CHECK(result.err.find('\n') == result.err.size() - 1);
  };
  refused("evaluate", "", "give a run directory, or --model and --weights");
  refused("evaluate", folder.path(), "config.json");
  refused("evaluate", "--model lenet5 --weights nowhere", "nowhere");
  refused("evaluate", "--model lenet5 --data synthetic --weights " + folder.file("weights.safetensors"),
          "weights.safetensors");
  refused("evaluate", "--model lenet6 --weights x", "did you mean 'lenet5'?");
  refused("evaluate", "--lr 1", "unknown option --lr");
  refused("bench", "", "bench step, or bench kernels");
  refused("bench", "steps", "did you mean 'step'?");
  refused("bench", "step --model resnet21", "did you mean 'resnet20'?");
  refused("bench", "step --model mlp --optim sgd,adum", "unknown optimizer 'adum'");
  refused("bench", "step --batch-size 0", "--batch-size: 0 is out of range");
  refused("bench", "step --steps 0", "--steps");
}

TEST_CASE("bench step reports times, rate and memory") {
  const Json one =
      json_of(run("bench", "step --model lenet5 --optim adaact --batch-size 8 --threads 1 --steps 6 --json"));
  for (const char* key : {"median_ms", "min_ms", "max_ms", "images_per_second", "peak_memory_bytes", "state_bytes",
                          "forward_ms", "backward_ms", "optimizer_ms"})
    CHECK(one[key].get<double>() > 0);
  CHECK(one["min_ms"] <= one["median_ms"]);
  CHECK(one["median_ms"] <= one["max_ms"]);
  CHECK(one["images_per_second"].get<double>() == Approx(8000 / one["median_ms"].get<double>()));
  CHECK(one["model"] == "lenet5");
  // At least parameters, gradients and momentum.
  CHECK(one["peak_memory_bytes"].get<double>() > 3 * 4 * 62006);

  // LeNet-5's products for 8 images; of the first convolution no gradient of its input is wanted.
  const double first = 2.0 * 8 * 28 * 28 * 6 * 75, second = 2.0 * 8 * 10 * 10 * 16 * 150;
  const double linears = 2.0 * 8 * (400 * 120 + 120 * 84 + 84 * 10);
  const Json counted = json_of(
      run("bench", "step --model lenet5 --optim sgd --batch-size 8 --threads 1 --steps 2 --conv im2col --json"));
  CHECK(counted["flops"].get<double>() > 2 * first + 3 * second + 3 * linears);
  CHECK(counted["flops"].get<double>() < 1.1 * (2 * first + 3 * second + 3 * linears));
  CHECK(counted["bytes_moved"].get<double>() > 5 * 4 * 62006);  // the optimizer's step alone
  CHECK(counted["launches"] == 0);
  CHECK(counted["emulated"] == false);
  // No faster than all bytes, or all arithmetic, at the device's best.
  const double memory_ms = counted["bytes_moved"].get<double>() / counted["peaks"]["gbytes_per_second"].get<double>();
  const double arithmetic_ms = counted["flops"].get<double>() / counted["peaks"]["gflops"].get<double>();
  CHECK(counted["roofline_ms"].get<double>() >= 0.999e-6 * std::max(memory_ms, arithmetic_ms));
  CHECK(counted["roofline_ms"].get<double>() <= 1.001e-6 * (memory_ms + arithmetic_ms));
  CHECK(counted["times_roofline"].get<double>() ==
        Approx(counted["median_ms"].get<double>() / counted["roofline_ms"].get<double>()));

  const Json several =
      json_of(run("bench", "step --model mlp --optim sgd,adam --batch-size 8 --threads 1 --steps 7 --json"));
  REQUIRE(several["results"].size() == 2);
  CHECK(several["results"][0]["optim"] == "sgd");
  CHECK(several["results"][0]["ratio_to_first"] == 1.0);
  CHECK(several["results"][1]["ratio_to_first"].get<double>() > 0);
  // Adam keeps one more number per parameter than SGD with momentum.
  CHECK(several["results"][1]["peak_memory_bytes"].get<double>() -
            several["results"][0]["peak_memory_bytes"].get<double>() >=
        4 * 820874);
  CHECK(run("bench", "step --model mlp --optim sgd --batch-size 8 --threads 1 --steps 2").out.find("median ms") !=
        std::string::npos);
}

TEST_CASE("bench kernels reports every family") {
  const Json report = json_of(run("bench", "kernels --model lenet5 --batch-size 2 --threads 1 --json"));
  CHECK(report["multiply_add_peak_gflops"].get<double>() > 0);
  for (const char* kernel : {"conv2d forward", "conv2d backward data", "conv2d backward weight", "second moment",
                             "linear forward", "max pool 2x2 forward", "sgd step", "adam step"}) {
    INFO(kernel);
    bool found = false;
    for (const Json& row : report["results"])
      if (row["kernel"] == kernel) found = row["ms"].get<double>() >= 0;
    CHECK(found);
  }
  int uses = 0;
  for (const Json& row : report["results"])
    if (row.contains("engine")) {
      uses += row["uses"].get<int>();
      CHECK(row["error"].get<double>() < 1e-5);
    }
  CHECK(uses == 5);  // two convolutions in three directions; no gradient of the images is wanted
}
