// Whole runs of train, on few images of the synthetic set.
#include <signal.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/safetensors.h"
#include "program.h"
#include "test/catch.h"

using Json = nlohmann::json;

namespace {

const std::string small = " --data synthetic --train-samples 512 --test-samples 200 --batch-size 64 --threads 1 ";

void check_code(const Result& result, int code) {
  INFO(result.out << result.err);
  REQUIRE(result.code == code);
}

std::int64_t lines_in(const std::string& text) {
  return std::count(text.begin(), text.end(), '\n');
}

// Both runs' files are the same, but for times.
void check_same_run(const std::string& a, const std::string& b) {
  CHECK(without_times(contents(a + "/metrics.csv")) == without_times(contents(b + "/metrics.csv")));
  CHECK(contents(a + "/model.safetensors") == contents(b + "/model.safetensors"));
  CHECK(contents(a + "/best.safetensors") == contents(b + "/best.safetensors"));
  const Json before = Json::parse(contents(a + "/summary.json")), after = Json::parse(contents(b + "/summary.json"));
  for (const char* key : {"best_test_accuracy", "best_epoch", "last_test_accuracy", "epochs", "parameters"})
    CHECK(before[key] == after[key]);
}

}  // namespace

TEST_CASE("the published code's command line trains") {
  TemporaryFolder folder;
  const Result result =
      run("train",
          "--model resnet20 --optim adaact --lr 0.1 --beta1 0.9 --beta2 0.999 --eps 1e-8 --weight_decay 0.002 "
          "--epoch 1 --run 0 --train_samples 128 --test_samples 100 --batchsize 64",
          {.folder = folder.path()});
  check_code(result, 0);
  CHECK(result.out.rfind("data: synthetic (no cifar10 in data-cache", 0) == 0);  // the first line
  CHECK(result.err.empty());
  CHECK(result.out.find('\r') == std::string::npos);
  CHECK(result.out.find("epoch 1/1") != std::string::npos);

  const std::filesystem::directory_iterator runs(folder.file("runs"));
  const std::string directory = runs->path().string();
  CHECK(directory.find("/resnet20-adaact-synthetic-") != std::string::npos);
  const std::string metrics = contents(directory + "/metrics.csv");
  CHECK(metrics.rfind("epoch,lr,train_loss,train_accuracy,test_loss,test_accuracy,train_seconds,elapsed_seconds,peak_"
                      "memory_bytes\n1,0.1,",
                      0) == 0);
  CHECK(lines_in(metrics) == 2);
  const Json summary = Json::parse(contents(directory + "/summary.json"));
  CHECK(summary["parameters"] == 269722);
  CHECK(summary["epochs"] == 1);
  CHECK(summary["best_test_accuracy"] == summary["last_test_accuracy"]);
  const Json config = Json::parse(contents(directory + "/config.json"));
  CHECK(config["options"]["data"] == "synthetic");
  CHECK(config["options"]["epochs"] == 1);
  for (const char* file : {"model.safetensors", "best.safetensors", "checkpoint.safetensors"})
    CHECK(std::filesystem::exists(directory + "/" + file));
}

TEST_CASE("two runs in the same second get different directories") {
  TemporaryFolder folder;
  const std::string arguments = "--model mlp --hidden 10 --epochs 1" + small;
  Program a("train", arguments, {.folder = folder.path()}), b("train", arguments, {.folder = folder.path()});
  check_code(a.wait(), 0);
  check_code(b.wait(), 0);
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder.file("runs"))) names.push_back(entry.path());
  REQUIRE(names.size() == 2);
  check_same_run(names[0], names[1]);
}

TEST_CASE("the same options give the same bits, another seed does not") {
  TemporaryFolder folder;
  const std::string arguments = "--model lenet5 --optim adaact --epochs 2" + small;
  check_code(run("train", arguments + "--out " + folder.file("a")), 0);
  check_code(run("train", arguments + "--out " + folder.file("other") + " --seed 1"), 0);
  check_code(run("train", "--config " + folder.file("a/config.json") + " --out " + folder.file("repeated")), 0);
  check_same_run(folder.file("a"), folder.file("repeated"));
  CHECK(contents(folder.file("a/model.safetensors")) != contents(folder.file("other/model.safetensors")));
}

// Starts a run and sends a signal when one epoch is done; false if the run was faster.
bool stop_in_the_middle(const std::string& arguments, const std::string& directory, int signal, Result& result) {
  std::filesystem::remove_all(directory);
  Program program("train", arguments + "--out " + directory);
  wait_until([&] { return lines_in(contents(directory + "/metrics.csv")) >= 2 || !program.running(); });
  program.send(signal);
  result = program.wait();
  return result.code != 0;
}

TEST_CASE("a run that was stopped by a signal goes on to the same bits") {
  struct Setting {
    const char* options;
    int signal, code;
  };
  const Setting setting = GENERATE(Setting{"--model lenet5 --optim adaact --threads 2", SIGINT, 130},
                                   Setting{"--model mlp --hidden 64 --optim sgd --accumulate 3 --threads 1 "
                                           "--warmup-epochs 1 --schedule-per step --clip-norm 1",
                                           SIGTERM, 143},
                                   Setting{"--model mlp --hidden 64 --optim adam --threads 1", SIGKILL, 137},
                                   Setting{"--model lenet5 --optim adaact --threads 1 --save-every 1 "
                                           "--record rates,activation-variance,activation-covariance",
                                           SIGTERM, 143},
                                   Setting{"--model lenet5 --optim adaact --threads 1", SIGKILL, 137});
  TemporaryFolder folder;
  const std::string arguments =
      setting.options +
      std::string(" --epochs 3 --data synthetic --train-samples 600 --test-samples 100 --batch-size 16 ");
  check_code(run("train", arguments + "--out " + folder.file("whole")), 0);

  const std::string stopped = folder.file("stopped");
  Result result;
  REQUIRE(wait_until([&] { return stop_in_the_middle(arguments, stopped, setting.signal, result); }));
  check_code(result, setting.code);
  if (setting.signal != SIGKILL) CHECK(result.out.find("go on with: train --resume " + stopped) != std::string::npos);

  const Result resumed = run("train", "--resume " + stopped);
  check_code(resumed, 0);
  CHECK(resumed.out.find("resumed after epoch ") != std::string::npos);
  check_same_run(folder.file("whole"), stopped);
  for (const auto& entry : std::filesystem::directory_iterator(stopped))
    CHECK(entry.path().string().find(".tmp") == std::string::npos);
  // What was recorded on the way.
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.file("whole"))) {
    const std::string name = std::filesystem::relative(entry.path(), folder.file("whole")).string();
    if (entry.is_directory() || (entry.path().extension() != ".csv" && name.rfind("epoch_", 0) != 0)) continue;
    INFO(name);
    if (name != "metrics.csv") CHECK(contents(entry.path().string()) == contents(stopped + "/" + name));
  }
}

TEST_CASE("a run killed again and again before its first epoch is done still arrives") {
  TemporaryFolder folder;
  const std::string arguments = "--model mlp --hidden 32 --optim adaact --epochs 1" + small;
  check_code(run("train", arguments + "--out " + folder.file("whole")), 0);
  const std::string stopped = folder.file("stopped");
  {
    Program program("train", arguments + "--out " + stopped);
    REQUIRE(wait_until([&] { return std::filesystem::exists(stopped + "/config.json"); }));
    program.send(SIGKILL);
    program.wait();
  }
  write(stopped + "/checkpoint.safetensors.tmp-1-0", "half of one");  // as a kill during a write leaves behind
  {
    Program program("train", "--resume " + stopped);
    program.send(SIGTERM);
    const int code = program.wait().code;
    CHECK((code == 143 || code == 0));
  }
  check_code(run("train", "--resume " + stopped), 0);
  check_same_run(folder.file("whole"), stopped);
}

TEST_CASE("recorded activations do not change the run, and go on where it was resumed") {
  TemporaryFolder folder;
  const std::string whole = folder.file("whole"), plain = folder.file("plain"), parts = folder.file("parts");
  const std::string common = "--model lenet5 --optim sam --schedule constant --accumulate 3 --out ";
  const std::string record = " --record activation-variance";
  check_code(run("train", common + whole + small + "--epochs 2" + record), 0);
  check_code(run("train", common + plain + small + "--epochs 2"), 0);
  check_same_run(whole, plain);
  CHECK(!std::filesystem::exists(plain + "/activation_variance.csv"));

  // Eight batches are three steps.
  const std::string rows = contents(whole + "/activation_variance.csv");
  CHECK(lines_in(rows) == 1 + 2 * 3);
  CHECK(rows.rfind("epoch,step,conv2 mean,conv2 smallest,conv2 largest,fc1 mean,", 0) == 0);
  CHECK(rows.find("\n2,3,0.") != std::string::npos);

  check_code(run("train", common + parts + small + "--epochs 1" + record), 0);
  std::ofstream(parts + "/activation_variance.csv", std::ios::app) << "2,1,0.5,";  // of a process that was killed
  check_code(run("train", "--resume " + parts + " --epochs 2"), 0);
  CHECK(contents(parts + "/activation_variance.csv") == rows);

  // A row that is lost, and what looks like one of epoch 1 but is the beginning of one of epoch 12.
  const std::string lost = rows.substr(0, rows.find("\n2,3,") + 1);
  write(parts + "/activation_variance.csv", lost + "1");
  const Result resumed = run("train", "--resume " + parts);
  check_code(resumed, 0);
  CHECK(resumed.err == "actgrad: warning: " + parts +
                           "/activation_variance.csv lacks 1 of the 6 rows of the steps that " +
                           "are done, and goes on without them\n");
  CHECK(contents(parts + "/activation_variance.csv") == lost);
}

TEST_CASE("resuming accepts what does not change the past, and refuses the rest by name") {
  TemporaryFolder folder;
  const std::string directory = folder.file("run"), resume = "--resume " + directory;
  check_code(
      run("train", "--model mlp --hidden 10 --optim sgd --epochs 2 --schedule constant --out " + directory + small), 0);
  const auto refused = [&](const std::string& option, const std::string& part) {
    const Result result = run("train", resume + " " + option);
    check_code(result, 2);
    INFO(result.err);
    CHECK(result.err.find(part) != std::string::npos);
  };
  refused("--lr 0.5", "--lr cannot change on resuming: the run in " + directory + " has 0.01");
  refused("--seed 4", "--seed cannot change");
  refused("--model lenet5", "--model cannot change");
  refused("--optim adam", "--optim cannot change");
  refused("--batchsize 32", "--batch-size cannot change");
  refused("--train-samples 100", "--train-samples cannot change");
  refused("--epochs 1", "--epochs: 2 are done already");
  refused("--beta1 0.5", "--beta1: sgd has no such option");
  CHECK(lines_in(contents(directory + "/metrics.csv")) == 3);

  const Result more = run("train", resume + " --epochs 3 --threads 2 --device cpu --lr 0.01");
  check_code(more, 0);
  CHECK(more.err.find("note: epochs: 3 instead of 2\n") != std::string::npos);
  CHECK(more.err.find("note: threads: 2 instead of 1; ") != std::string::npos);
  CHECK(lines_in(contents(directory + "/metrics.csv")) == 4);
  CHECK(Json::parse(contents(directory + "/config.json"))["options"]["epochs"] == 3);
  check_code(run("train", resume), 0);  // nothing left to do

  // With a constant rate, two epochs and one more are the same as three at once.
  const std::string at_once = folder.file("at_once");
  check_code(run("train", "--model mlp --hidden 10 --optim sgd --epochs 2 --schedule constant --out " +
                              folder.file("again") + small),
             0);
  check_code(run("train", "--resume " + folder.file("again") + " --epochs 3"), 0);
  check_code(
      run("train", "--model mlp --hidden 10 --optim sgd --epochs 3 --schedule constant --out " + at_once + small), 0);
  check_same_run(at_once, folder.file("again"));
}

TEST_CASE("a run goes on without the file that it began with, once it has a checkpoint") {
  TemporaryFolder folder;
  const std::string begin = folder.file("begin.safetensors"), directory = folder.file("run");
  const std::string common = "--model mlp --hidden 10 --schedule constant" + small + "--out ";
  check_code(run("train", common + folder.file("first") + " --seed 3 --epochs 1"), 0);
  std::filesystem::copy(folder.file("first/model.safetensors"), begin);
  check_code(run("train", common + folder.file("whole") + " --epochs 2 --init " + begin), 0);
  check_code(run("train", common + directory + " --epochs 1 --init " + begin), 0);
  std::filesystem::rename(begin, folder.file("elsewhere"));
  check_code(run("train", "--resume " + directory + " --epochs 2"), 0);
  check_same_run(folder.file("whole"), directory);

  // Killed before the first checkpoint, it begins once more.
  for (const char* file : {"/checkpoint.safetensors", "/metrics.csv"}) std::filesystem::remove(directory + file);
  const Result result = run("train", "--resume " + directory);
  check_code(result, 2);
  CHECK(result.err == "train: cannot read " + begin + ": No such file or directory\n");
  std::filesystem::rename(folder.file("elsewhere"), begin);
  check_code(run("train", "--resume " + directory), 0);
  check_same_run(folder.file("whole"), directory);
}

TEST_CASE("a run that was begun on a GPU goes on without one") {
  TemporaryFolder folder;
  const std::string directory = folder.file("run"), config = directory + "/config.json";
  check_code(run("train", "--model mlp --hidden 10 --epochs 1 --out " + directory + small), 0);
  std::string text = contents(config);
  text.replace(text.find("\"cpu\""), 5, "\"cuda:0\"");
  write(config, text);
  const Result resumed = run("train", "--resume " + directory + " --device cpu --epochs 2");
  check_code(resumed, 0);
  CHECK(resumed.err.find("train: note: device: cpu instead of cuda:0\n") != std::string::npos);
  CHECK(Json::parse(contents(config))["options"]["device"] == "cpu");
}

TEST_CASE("resuming says that more epochs stretch the cosine") {
  TemporaryFolder folder;
  check_code(run("train", "--model mlp --hidden 10 --epochs 1 --out " + folder.file("run") + small), 0);
  const Result more = run("train", "--resume " + folder.file("run") + " --epochs 2");
  check_code(more, 0);
  CHECK(more.err.find("note: epochs: 2 instead of 1; the cosine schedule stretches") != std::string::npos);
}

TEST_CASE("damaged and foreign checkpoints are refused") {
  TemporaryFolder folder;
  const std::string directory = folder.file("run"), checkpoint = directory + "/checkpoint.safetensors";
  check_code(run("train", "--model mlp --hidden 10 --optim adam --epochs 1 --out " + directory + small), 0);
  const std::string good = contents(checkpoint);
  const auto refused = [&](const std::string& bytes, const std::string& part) {
    write(checkpoint, bytes);
    const Result result = run("train", "--resume " + directory + " --epochs 2");
    check_code(result, 2);
    INFO(result.err);
    CHECK(result.err.find(checkpoint) != std::string::npos);
    CHECK(result.err.find(part) != std::string::npos);
    CHECK(contents(checkpoint) == bytes);
  };
  const auto flipped = [&](std::size_t position) {
    std::string bytes = good;
    bytes[position] = static_cast<char>(bytes[position] ^ 4);
    return bytes;
  };
  refused(good.substr(0, good.size() / 2), "");
  refused(good.substr(0, good.size() - 1), "");
  refused(good.substr(0, 5), "");
  refused("", "");
  refused(good + "x", "");
  refused(flipped(good.size() - 1000), "checksum");
  refused(flipped(good.size() / 2), "checksum");
  refused(contents(directory + "/model.safetensors"), "");

  const auto foreign = [&](const std::string& options) {
    TemporaryFolder other;
    check_code(run("train", options + " --epochs 1 --out " + other.file("run") + small), 0);
    return contents(other.file("run/checkpoint.safetensors"));
  };
  refused(foreign("--model lenet5 --optim adam"), "its model is lenet5, this run's is mlp");
  refused(foreign("--model mlp --hidden 10 --optim sgd"), "its optim is sgd, this run's is adam");
  refused(foreign("--model mlp --hidden 11 --optim adam"), "its hidden is 11, this run's is 10");
  refused(foreign("--model mlp --hidden 10 --optim adam --precision fp64"), "its precision is fp64");

  std::filesystem::remove(checkpoint);
  check_code(run("train", "--resume " + directory), 2);
  std::filesystem::create_symlink("checkpoint.safetensors", checkpoint);  // a loop
  const Result unreachable = run("train", "--resume " + directory);
  check_code(unreachable, 2);
  CHECK(unreachable.err == "train: " + checkpoint + ": Too many levels of symbolic links\n");
  std::filesystem::remove(checkpoint);
  write(checkpoint, good);
  check_code(run("train", "--resume " + directory + " --epochs 2"), 0);
}

TEST_CASE("a full disk leaves the old checkpoint in place") {
  TemporaryFolder folder;
  const std::string directory = folder.file("run"), checkpoint = directory + "/checkpoint.safetensors";
  check_code(
      run("train", "--model mlp --hidden 30 --optim adam --epochs 1 --schedule constant --out " + directory + small),
      0);
  const std::string good = contents(checkpoint), model = contents(directory + "/model.safetensors");
  REQUIRE(model.size() < good.size() * 2 / 3);
  // Room for the model's files but not for the checkpoint.
  const Result full = run("train", "--resume " + directory + " --epochs 3",
                          {.file_size_limit = static_cast<long>(good.size() * 2 / 3)});
  check_code(full, 2);
  INFO(full.err);
  CHECK(full.err.find("train: cannot write " + checkpoint) != std::string::npos);
  CHECK(contents(checkpoint) == good);
  check_code(run("train", "--resume " + directory + " --epochs 3"), 0);
  check_code(run("train", "--model mlp --hidden 30 --optim adam --epochs 3 --schedule constant --out " +
                              folder.file("whole") + small),
             0);
  check_same_run(folder.file("whole"), directory);
}

TEST_CASE("a run directory in use is refused") {
  TemporaryFolder folder;
  const std::string directory = folder.file("run");
  Program first("train", "--model mlp --epochs 1000 --out " + directory + small);
  REQUIRE(wait_until([&] { return std::filesystem::exists(directory + "/checkpoint.safetensors"); }));
  for (const std::string& arguments : {"--resume " + directory, "--model mlp --epochs 1 --out " + directory + small}) {
    const Result second = run("train", arguments);
    check_code(second, 2);
    CHECK(second.err == "train: the run directory " + directory + " is in use by another process\n");
  }
  first.send(SIGTERM);
  check_code(first.wait(), 143);
  const Result third = run("train", "--model mlp --epochs 1 --out " + directory + small);
  check_code(third, 2);
  CHECK(third.err.find("is not empty: go on with its run (--resume " + directory + ")") != std::string::npos);
}

TEST_CASE("a loss that is not finite stops the run and keeps the last good checkpoint") {
  TemporaryFolder folder;
  const std::string directory = folder.file("run"), checkpoint = directory + "/checkpoint.safetensors";
  const Result result = run("train", "--model lenet5 --optim sgd --lr 1e6 --epochs 3 --out " + directory + small);
  check_code(result, 1);
  INFO(result.err);
  CHECK(result.err.find("train: the loss is ") == 0);
  CHECK(result.err.find("training stops; the last good state stays in " + checkpoint) != std::string::npos);
  CHECK(lines_in(result.err) == 1);
  const actgrad::TensorFile file = actgrad::read_tensor_file(checkpoint, true);
  const std::vector<float> values = file.find("parameters")->to_vector<float>();
  CHECK(std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); }));
}

TEST_CASE("accumulated small batches train as one large batch") {
  TemporaryFolder folder;
  const std::string optimizer = GENERATE("sgd", "adam", "adaact");
  // 500 images in steps of 96: the last step is smaller, and its last batch smaller still.
  const std::string arguments =
      "--model mlp --hidden 20 --optim " + optimizer +
      " --epochs 2 --precision fp64 --data synthetic --train-samples 500 --test-samples 100 --threads 1 ";
  check_code(run("train", arguments + "--batch-size 96 --out " + folder.file("large")), 0);
  check_code(run("train", arguments + "--batch-size 32 --accumulate 3 --out " + folder.file("small")), 0);
  const actgrad::TensorFile large = actgrad::read_tensor_file(folder.file("large/model.safetensors"));
  const actgrad::TensorFile small_batches = actgrad::read_tensor_file(folder.file("small/model.safetensors"));
  REQUIRE(!large.tensors.empty());
  for (const actgrad::NamedTensor& entry : large.tensors) {
    const std::vector<double> a = entry.tensor.to_vector<double>(),
                              b = small_batches.find(entry.name)->to_vector<double>();
    double difference = 0;
    for (std::size_t i = 0; i < a.size(); ++i) difference = std::max(difference, std::abs(a[i] - b[i]));
    CHECK(difference < 1e-9);
  }
}

TEST_CASE("a terminal shows a bar, a pipe only lines") {
  const std::string arguments = "--model mlp --hidden 10 --epochs 2" + small;
  const Result terminal = run("train", arguments, {.terminal = true});
  check_code(terminal, 0);
  CHECK(terminal.out.find("\repoch 1/2  [") != std::string::npos);
  CHECK(terminal.out.find(" images/s  eta 0:") != std::string::npos);
  for (std::size_t begin = 0, end; begin < terminal.out.size(); begin = end + 1) {
    end = std::min(terminal.out.find_first_of("\r\n", begin), terminal.out.size());
    const std::string line = terminal.out.substr(begin, end - begin);
    if (line.rfind("epoch", 0) == 0 && line.find('[') != std::string::npos)
      CHECK(line.substr(0, line.find('\033')).size() < 100);
  }
  const Result pipe = run("train", arguments);
  check_code(pipe, 0);
  CHECK(pipe.out.find_first_of("\r\033") == std::string::npos);
  CHECK(lines_in(pipe.out) == 7);  // data, model, optimizer, run, two epochs, result
}
