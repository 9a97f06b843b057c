// The program metatrain, on the synthetic task, with tiny networks.
#include <algorithm>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/safetensors.h"
#include "test/apps/program.h"
#include "test/catch.h"

using Json = nlohmann::json;

namespace {

const std::string small =
    "--task synthetic --hidden 2 --train-samples 64 --batch-size 16 --meta-iterations 2 --steps 4 --segment 2 "
    "--evaluations 1 --threads 1 --seed 3";

// Every weight of the learned optimizer, bit for bit.
std::string weights(const TemporaryFolder& folder, const std::string& run) {
  return contents(folder.file(run + "/weights.safetensors"));
}

// The columns that no clock decides.
std::string losses(const TemporaryFolder& folder, const std::string& run) {
  std::string text;
  std::istringstream rows(contents(folder.file(run + "/metrics.csv")));
  for (std::string row; std::getline(rows, row);) {
    std::size_t end = 0;
    for (int column = 0; column < 4; ++column) end = row.find(',', end) + 1;
    text += row.substr(0, end) + "\n";
  }
  return text;
}

// The last epoch's, as it is written.
std::string final_loss(const TemporaryFolder& folder, const std::string& run) {
  std::istringstream rows(losses(folder, run));
  std::string row, last;
  while (std::getline(rows, row)) last = row;
  last.pop_back();
  return last.substr(last.rfind(',') + 1);
}

}  // namespace

TEST_CASE("metatrain writes a learned optimizer that train uses, and goes on bit for bit") {
  const TemporaryFolder folder;
  const ProgramSettings here{.folder = folder.path()};
  const std::string name = GENERATE("hyperadam", "rnnprop", "dm");
  CAPTURE(name);
  const std::string options = small + " --optimizer " + name;
  const Result whole = run("metatrain", options + " --epochs 3 --out whole --save-every 2", here);
  INFO(whole.err);
  REQUIRE(whole.code == 0);
  CHECK_THAT(whole.out, ContainsSubstring("epoch 3/3"));
  for (const char* file : {"config.json", "best.safetensors", "weights-epoch-2.safetensors", "checkpoint.safetensors"})
    CHECK(!contents(folder.file(std::string("whole/") + file)).empty());

  REQUIRE(run("metatrain", options + " --epochs 1 --out parts", here).code == 0);
  REQUIRE(run("metatrain", "--resume parts --epochs 3 --meta-lr 1e-4", here).code == 0);
  CHECK(weights(folder, "parts") == weights(folder, "whole"));
  CHECK(losses(folder, "parts") == losses(folder, "whole"));

  // Stopped in the middle of an epoch.
  Program stopped("metatrain", options + " --meta-iterations 200 --epochs 2 --out stopped", here);
  REQUIRE(wait_until([&] { return !contents(folder.file("stopped/checkpoint.safetensors")).empty(); }));
  stopped.send(SIGTERM);
  CHECK(stopped.wait().code == 128 + SIGTERM);
  CHECK(run("metatrain", "--resume stopped --meta-iterations 100", here).code == 2);

  const auto trained = [&](const std::string& more) {
    return run("train",
               "--model mlp --hidden 3 --data synthetic --train-samples 64 --test-samples 16 --epochs 1 --optim " +
                   name + " " + more,
               here);
  };
  CHECK(trained("--weights whole/best.safetensors --out trained").code == 0);
  CHECK(trained("--out as-shipped").code == 0);
  const Result wrong = trained("--weights trained/model.safetensors --out wrong");
  CHECK(wrong.code == 2);
  CHECK_THAT(wrong.err, ContainsSubstring("not the weights of " + name));
}

TEST_CASE("a meta-training that was stopped between two epochs' ends goes on bit for bit") {
  const TemporaryFolder folder;
  const ProgramSettings here{.folder = folder.path()};
  const std::string options = small + " --meta-iterations 60 --epochs 1";
  REQUIRE(run("metatrain", options + " --out whole", here).code == 0);
  Program program("metatrain", options + " --out stopped", here);
  REQUIRE(wait_until([&] { return !contents(folder.file("stopped/checkpoint.safetensors")).empty(); }));
  program.send(SIGINT);
  if (program.wait().code == 128 + SIGINT) REQUIRE(run("metatrain", "--resume stopped", here).code == 0);
  CHECK(weights(folder, "stopped") == weights(folder, "whole"));
  CHECK(losses(folder, "stopped") == losses(folder, "whole"));
}

TEST_CASE("a meta-training begins with the weights of a file, and goes on without it") {
  const TemporaryFolder folder;
  const ProgramSettings here{.folder = folder.path()};
  REQUIRE(run("metatrain", small + " --epochs 1 --out first", here).code == 0);
  const std::string more = small + " --meta-lr 0 --init begin.safetensors";
  std::filesystem::copy(folder.file("first/best.safetensors"), folder.file("begin.safetensors"));
  REQUIRE(run("metatrain", more + " --epochs 1 --out second", here).code == 0);
  std::filesystem::remove(folder.file("begin.safetensors"));
  const Result resumed = run("metatrain", "--resume second --epochs 2", here);
  INFO(resumed.err);
  CHECK(resumed.code == 0);
  CHECK(run("metatrain", "--resume second --init first/best.safetensors", here).code == 2);
  // A rate of zero leaves the weights as they were.
  CHECK(final_loss(folder, "second") == final_loss(folder, "first"));

  // Killed before the first checkpoint, it begins with the file once more.
  std::filesystem::remove(folder.file("second/checkpoint.safetensors"));
  CHECK(run("metatrain", "--resume second", here).code == 2);
  std::filesystem::copy(folder.file("first/best.safetensors"), folder.file("begin.safetensors"));
  REQUIRE(run("metatrain", "--resume second", here).code == 0);
  CHECK(final_loss(folder, "second") == final_loss(folder, "first"));
}

TEST_CASE("an evaluation without a number is kept as such, and any number beats it") {
  const TemporaryFolder folder;
  const ProgramSettings here{.folder = folder.path()};
  REQUIRE(run("metatrain", small + " --epochs 1 --out run", here).code == 0);
  const std::string path = folder.file("run/checkpoint.safetensors");
  const auto history = [&] {
    return Json::parse(actgrad::read_tensor_file(path, true).metadata.at("state")).at("history");
  };
  for (const Json& written : {Json(), Json("nan")}) {  // null: as it once was
    actgrad::TensorFile file = actgrad::read_tensor_file(path, true);
    Json state = Json::parse(file.metadata.at("state"));
    state["history"][0][3] = written;
    file.metadata["state"] = state.dump();
    actgrad::write_tensor_file(path, file, true);
    const std::string epochs = std::to_string(history().size() + 1);
    const Result resumed = run("metatrain", "--resume run --epochs " + epochs, here);
    INFO(resumed.err);
    REQUIRE(resumed.code == 0);
    CHECK(history()[0][3] == "nan");
    CHECK_THAT(losses(folder, "run"), ContainsSubstring(",nan,\n2,"));
    CHECK_THAT(resumed.out, ContainsSubstring("final loss: best ") && !ContainsSubstring("(epoch 1)"));
    if (epochs == "2") CHECK(contents(folder.file("run/best.safetensors")) == weights(folder, "run"));
  }
  CHECK(history().size() == 3);
}

TEST_CASE("a run goes on with the learned optimizer that it was begun with, or not at all") {
  const TemporaryFolder folder;
  const ProgramSettings here{.folder = folder.path()};
  REQUIRE(run("metatrain", small + " --optimizer dm --epochs 2 --save-every 1 --out meta", here).code == 0);
  const auto use = [&](int epoch) {
    std::filesystem::copy(folder.file("meta/weights-epoch-" + std::to_string(epoch) + ".safetensors"),
                          folder.file("w.safetensors"), std::filesystem::copy_options::overwrite_existing);
  };
  use(1);
  REQUIRE(run("train",
              "--model mlp --hidden 3 --data synthetic --train-samples 64 --test-samples 16 --epochs 1 --optim dm "
              "--weights w.safetensors --out run",
              here)
              .code == 0);
  const auto resumed = [&](int epochs) {
    return run("train", "--resume run --epochs " + std::to_string(epochs), here);
  };
  use(2);
  const Result refused = resumed(2);
  CHECK(refused.code == 2);
  CHECK_THAT(refused.err, ContainsSubstring("of another run: its weights-id is "));
  use(1);
  CHECK(resumed(2).code == 0);

  // A checkpoint of a time when it did not say which weights.
  const std::string path = folder.file("run/checkpoint.safetensors");
  actgrad::TensorFile file = actgrad::read_tensor_file(path, true);
  Json identity = Json::parse(file.metadata.at("identity"));
  REQUIRE(identity.erase("weights-id") == 1);
  file.metadata["identity"] = identity.dump();
  actgrad::write_tensor_file(path, file, true);
  CHECK(resumed(3).code == 0);
}

TEST_CASE("trainings take turns with the activation functions of a list") {
  const TemporaryFolder folder;
  const ProgramSettings here{.folder = folder.path()};
  const auto trained = [&](const std::string& activations) {
    REQUIRE(run("metatrain", small + " --epochs 1 --activation " + activations + " --out " + activations, here).code ==
            0);
    return losses(folder, activations);
  };
  const std::string relu = trained("relu"), both = trained("relu,tanh");
  CHECK(trained("relu,relu") == relu);
  CHECK(both != relu);
  REQUIRE(run("metatrain", "--resume relu,tanh --epochs 2", here).code == 0);
  REQUIRE(run("metatrain", small + " --epochs 2 --activation relu,tanh --out whole", here).code == 0);
  CHECK(weights(folder, "relu,tanh") == weights(folder, "whole"));
}

TEST_CASE("metatrain refuses what makes no sense, in one line") {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& options, const std::string& part) {
    const Result result = run("metatrain", options, {.folder = folder.path()});
    CAPTURE(options, result.err);
    CHECK(result.code == 2);
    CHECK_THAT(result.err, ContainsSubstring(part));
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
  };
  refused("--optimizer dm --candidates 3", "not an option of dm");
  refused("--optimizer adam", "optimizer");
  refused("--candidats 3", "candidates");
  refused(small + " --segment 3", "segment");
  refused(small + " --segment 1", "--segment: 1 is out of range");
  refused(small + " --batch-size 128", "--batch-size: there are fewer training images than that");
  refused(small + " --activation relu,swish", "'swish'");
  refused("--task mnist --data-dir nowhere", "get_data mnist");
  refused("--resume nowhere", "nowhere");
  refused(small + " --init nowhere.safetensors", "nowhere.safetensors");
}

TEST_CASE("metatrain's defaults are those of each optimizer's paper") {
  const auto config = [](const std::string& options) { return run("metatrain", "--dry-run " + options).out; };
  const auto says = [](const std::string& text, const std::string& option, const std::string& value) {
    CHECK_THAT(text, ContainsSubstring("\"" + option + "\": \"" + value + "\""));
  };
  says(config(""), "meta-lr", "0.0001");
  says(config("--no-random-scaling"), "meta-lr", "5e-05");
  says(config("--optimizer rnnprop"), "loss", "last");
  says(config("--optimizer dm"), "convex-combination", "false");
  says(config("--candidates 5 --no-lstm"), "candidates", "5");
}
