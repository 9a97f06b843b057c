// optimise: the tasks' networks, and runs on made-up images and on sine waves by the real program.
#include <signal.h>

#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "program.h"
#include "test/catch.h"

using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

const std::string small = "--synthetic --train-samples 64 --batch-size 16 --steps 4 --threads 1 ";

Result optimise(const std::string& arguments) {
  const Result result = run("optimise", arguments);
  INFO(result.out << result.err);
  REQUIRE(result.code == 0);
  return result;
}

Json summary_of(const std::string& directory) {
  return Json::parse(contents(directory + "/summary.json"));
}

// What must not depend on when and how often the program was stopped.
std::string results_of(const std::string& directory) {
  Json summary = summary_of(directory);
  for (const char* name : {"train_seconds", "elapsed_seconds"}) REQUIRE(summary.erase(name) == 1);
  return summary.dump() + contents(directory + "/starts.csv") + contents(directory + "/curve.csv");
}

std::vector<std::string> lines_of(const std::string& path) {
  std::istringstream text(contents(path));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

}  // namespace

TEST_CASE("a run of optimise writes what its summary says") {
  TemporaryFolder folder;
  const std::string out = folder.file("run");
  optimise("--task cnn1-cifar10-dropout --starts 3 " + small + "--out " + out);
  const Json summary = summary_of(out);
  CHECK(summary["parameters"] == 43738);
  CHECK(summary["starts"] == 3);
  const std::vector<std::string> starts = lines_of(out + "/starts.csv"), curve = lines_of(out + "/curve.csv");
  REQUIRE(starts.size() == 4);
  CHECK(starts[0] == "start,final_loss,last_loss,top1,top2,test_loss");
  REQUIRE(curve.size() == 5);
  // The curve's last point is the mean of the starts' last losses.
  std::map<std::string, double> sums;
  for (std::size_t i = 1; i < starts.size(); ++i) {
    std::istringstream cells(starts[i]);
    std::string cell;
    for (const char* name : {"start", "final_loss", "last_loss", "top1", "top2", "test_loss"}) {
      REQUIRE(std::getline(cells, cell, ','));
      sums[name] += std::stod(cell);
    }
  }
  for (const char* name : {"final_loss", "last_loss", "top1", "top2", "test_loss"})
    CHECK(std::abs(summary[name].get<double>() - sums[name] / 3) < 1e-9 * sums[name]);
  CHECK(sums["top2"] >= sums["top1"]);
  std::istringstream last(curve.back());
  std::string step, mean;
  std::getline(last, step, ',');
  std::getline(last, mean, ',');
  CHECK(step == "3");
  CHECK(std::abs(std::stod(mean) - sums["last_loss"] / 3) < 1e-9 * sums["last_loss"]);
  const Json config = Json::parse(contents(out + "/config.json"));
  CHECK(config["options"]["lr"] == 0.0078125);
  CHECK(config["sources"]["lr"] == "HyperAdam, published code, for 100 steps");
  CHECK(config["options"]["weight-decay"] == 0);
}

TEST_CASE("training on sine waves lowers their loss") {
  TemporaryFolder folder;
  const std::string out = folder.file("run");
  optimise("--task sine-small-noise --starts 2 --steps 60 --threads 1 --out " + out);
  const std::vector<std::string> curve = lines_of(out + "/curve.csv");
  const auto loss = [&](std::size_t line) { return std::stod(curve.at(line).substr(curve.at(line).find(',') + 1)); };
  CHECK(summary_of(out)["parameters"] == 1781);
  CHECK(loss(60) < 0.5 * loss(1));
  CHECK(lines_of(out + "/starts.csv").front() == "start,final_loss,last_loss");  // no classes, no accuracies
}

TEST_CASE("a start is the same whatever was done before it") {
  TemporaryFolder folder;
  for (const std::string optimizer : {"adam", "hyperadam"}) {
    const std::string one = folder.file("one-" + optimizer), three = folder.file("three-" + optimizer);
    const std::string options = "--task mlp-tanh --optim " + optimizer + " " + small;
    optimise(options + "--starts 3 --out " + three);
    optimise(options + "--starts 1 --out " + one);
    CHECK(lines_of(one + "/starts.csv")[1] == lines_of(three + "/starts.csv")[1]);
    CHECK(lines_of(three + "/starts.csv")[1].substr(1) != lines_of(three + "/starts.csv")[2].substr(1));
    // More starts for the run with one of them: as if all had been asked for at once.
    optimise("--resume " + one + " --starts 3");
    CHECK(results_of(one) == results_of(three));
  }
}

TEST_CASE("a killed run of optimise goes on to the same files") {
  TemporaryFolder folder;
  const std::string whole = folder.file("whole"), killed = folder.file("killed");
  const std::string options = "--task mlp-relu-l2 --optim sgd --starts 40 " + small + "--out ";
  optimise(options + whole);
  {
    Program program("optimise", options + killed);
    REQUIRE(wait_until([&] { return fs::exists(killed + "/summary.json") || !program.running(); }));
    program.send(SIGKILL);
    REQUIRE(program.wait().code == 128 + SIGKILL);
  }
  REQUIRE(summary_of(killed)["starts"] < 40);
  {
    Program program("optimise", "--resume " + killed);
    const auto before = summary_of(killed)["starts"];
    REQUIRE(wait_until([&] { return summary_of(killed)["starts"] > before || !program.running(); }));
    program.send(SIGTERM);  // asks it to stop
    const Result result = program.wait();
    REQUIRE(result.code == 128 + SIGTERM);
    CHECK(result.out.find("optimise --resume " + killed) != std::string::npos);
  }
  optimise("--resume " + killed);
  CHECK(results_of(killed) == results_of(whole));
}

// A handler that shares the stack of oneDNN's matrix product destroys the heap about every third time.
TEST_CASE("a signal at any moment stops a run of optimise, and nothing worse") {
  TemporaryFolder folder;
  for (int i = 0; i < 10; ++i) {
    const std::string out = folder.file("run" + std::to_string(i));
    Program program("optimise", "--task mlp-relu-l2 --optim sgd --starts 1000 " + small + "--out " + out);
    REQUIRE(wait_until([&] { return fs::exists(out + "/summary.json") || !program.running(); }));
    for (int pauses = 4 * i; pauses > 0; --pauses) pause_briefly();
    program.send(SIGTERM);
    const Result result = program.wait();
    CHECK(result.code == 128 + SIGTERM);
    CHECK(result.err.empty());
  }
}

TEST_CASE("a run goes on with the weights that it was begun with, or not at all") {
  TemporaryFolder folder;
  const std::string out = folder.file("run");
  optimise("--task sine --optim hyperadam --starts 1 --steps 2 --threads 1 --out " + out);
  const std::string text = contents(out + "/config.json"), id = Json::parse(text)["options"]["weights-id"];
  CHECK(id.size() == 16);
  std::string other = text;
  other.replace(other.find(id), 1, id[0] == '0' ? "1" : "0");
  write(out + "/config.json", other);
  const Result result = run("optimise", "--resume " + out + " --starts 2");
  CHECK(result.code == 2);
  CHECK(result.err.find("are not those of the run") != std::string::npos);
  write(out + "/config.json", text);
  optimise("--resume " + out + " --starts 2");
  CHECK(summary_of(out)["starts"] == 2);
}

TEST_CASE("optimise refuses mistakes in one line and leaves nothing behind") {
  TemporaryFolder folder;
  const std::string out = folder.file("run");
  const auto refused = [&](const std::string& arguments, const std::string& message) {
    INFO(arguments);
    const Result result = run("optimise", arguments + " --out " + out);
    CHECK(result.code == 2);
    CHECK(result.err.find(message) != std::string::npos);
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
    CHECK_FALSE(fs::exists(out));
  };
  refused("--task mlp-sigmod", "did you mean 'mlp-sigmoid'?");
  refused("--optim adm", "did you mean 'adam'?");
  refused("--momentum 0.9", "adam has no such option");
  refused("--steps 0", "--steps");
  refused("--synthetic --train-samples 8", "--batch-size");
  refused("--task mlp-sigmoid --data-dir nowhere", "mnist");
  refused("--task cnn1-cifar10-bn --synthetic --batch-size 1999", "leave one alone");  // of 2000 test images
  refused("--optim dm --weights missing.safetensors --synthetic", "missing.safetensors");

  optimise("--task sine --starts 1 --steps 1 --threads 1 --beta1 0.8 --out " + out);
  const auto not_resumed = [&](const std::string& arguments, const std::string& message) {
    const Result result = run("optimise", "--resume " + out + " " + arguments);
    CHECK(result.code == 2);
    CHECK(result.err.find(message) != std::string::npos);
  };
  not_resumed("--lr 0.5", "--lr cannot change on resuming");
  not_resumed("--task sine-l2", "--task cannot change on resuming");
  not_resumed("--momentum 0.5", "--momentum: adam has no such option");

  // The same number is the same value, and going on does not change where the values come from.
  const Json before = Json::parse(contents(out + "/config.json"));
  optimise("--resume " + out + " --lr 1e-3 --starts 2");
  const Json after = Json::parse(contents(out + "/config.json"));
  CHECK(before["options"]["lr"] == 0.001);
  CHECK(before["sources"]["beta1"] == "command line");
  CHECK(before["sources"]["lr"] != "command line");
  CHECK(after["sources"] == before["sources"]);
  CHECK(after["options"]["starts"] == 2);
}
