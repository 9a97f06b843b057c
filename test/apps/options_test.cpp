// What train and evaluate make of their command lines.
#include <nlohmann/json.hpp>

#include "program.h"
#include "test/catch.h"

using Json = nlohmann::json;

namespace {

Json dry_run(const std::string& arguments, const ProgramSettings& settings = {}) {
  const Result result = run("train", arguments + " --dry-run", settings);
  INFO(result.err);
  REQUIRE(result.code == 0);
  return Json::parse(result.out);
}

// One line "train: …" on stderr, exit code 2, and nothing left behind.
void check_refused(const std::string& arguments, const std::string& part) {
  TemporaryFolder folder;
  const Result result = run("train", arguments, {.folder = folder.path()});
  INFO("train " << arguments << "\n" << result.out << result.err);
  CHECK(result.code == 2);
  CHECK(result.err.rfind("train: ", 0) == 0);
  CHECK(result.err.find('\n') == result.err.size() - 1);
  CHECK(result.err.find(part) != std::string::npos);
  CHECK(!std::filesystem::exists(folder.file("runs")));
}

}  // namespace

TEST_CASE("unknown names are refused with the nearest known one") {
  check_refused("--model resnet21", "unknown model 'resnet21': did you mean 'resnet20'?");
  check_refused("--optim adact", "unknown optimizer 'adact': did you mean 'adaact'?");
  check_refused("--data cifar11", "unknown data set 'cifar11': did you mean 'cifar10'?");
  check_refused("--weigth-decay 0.1", "unknown option --weigth-decay: did you mean --weight-decay?");
  check_refused("--weigth_decay=0.1", "did you mean --weight-decay?");
  check_refused("-x", "unknown option -x");
  check_refused("--schedule cosin", "--schedule: unknown value 'cosin': did you mean 'cosine'?");
  check_refused("--list model", "did you mean 'models'?");
  check_refused("lenet5", "unexpected argument 'lenet5'");
}

TEST_CASE("values out of range are refused") {
  check_refused("--lr -0.1", "--lr: -0.1 is out of range");
  check_refused("--lr nan", "--lr: nan is not a finite number");
  check_refused("--lr inf", "--lr: inf");
  check_refused("--lr fast", "--lr: 'fast'");
  check_refused("--lr", "--lr needs a value");
  check_refused("--out --epochs 3", "--out needs a value, not --epochs");
  check_refused("--batch-size 0", "--batch-size: 0 is out of range");
  check_refused("--batchsize -5", "--batch-size: -5 is out of range");
  check_refused("--beta1 1", "--beta1: 1 is out of range [0, 1)");
  check_refused("--optim adam --beta2 1.5", "--beta2: 1.5 is out of range [0, 1)");
  check_refused("--eps -1", "--eps");
  check_refused("--epochs 0", "--epochs: 0 is out of range");
  check_refused("--epochs 2.5", "--epochs: '2.5' is not a whole number");
  check_refused("--threads 0", "--threads: 0 is out of range");
  check_refused("--seed 99999999999999999999", "--seed");
  check_refused("--accumulate 0", "--accumulate");
  check_refused("--train-samples -1", "--train-samples");
  check_refused("--precision fp16", "--precision: unknown value 'fp16'");
  check_refused("--conv fft", "--conv");
  check_refused("--device gpu", "gpu");
  check_refused("--schedule multistep --milestones 5,x", "--milestones: 'x' is not a whole number");
  check_refused("--schedule multistep --milestones 5,5", "--milestones: 5,5 does not increase");
  check_refused("--milestones 5", "--milestones: only --schedule multistep uses it");
  check_refused("--schedule constant --min-lr 0.01", "--min-lr: only --schedule cosine uses it");
  check_refused("--min-lr 0.2 --lr 0.1", "--min-lr is above --lr");
  check_refused("--warmup-lr 0.1", "--warmup-lr: only --warmup-epochs uses it");
  check_refused("--epochs 5 --warmup-epochs 5", "--warmup-epochs: 5 leave none of 5 epochs");
  check_refused("--schedule-per batch", "--schedule-per: unknown value 'batch'");
  check_refused("--clip-norm -1", "--clip-norm: -1 is out of range");
  check_refused("--model mlp --hidden 10,,10", "--hidden");
  check_refused("--optim sgd --nesterov --momentum 0", "nesterov");
  check_refused("--dry-run=perhaps", "--dry-run: 'perhaps' is not true or false");
}

TEST_CASE("an option of another optimizer or model is refused") {
  check_refused("--optim adam --momentum 0.9", "--momentum: adam has no such option (it has: lr, beta1, ");
  check_refused("--optim sgd --beta1 0.9", "--beta1: sgd has no such option (it has: lr, momentum, ");
  check_refused("--model lenet5 --hidden 10", "--hidden: lenet5 has no such option");
}

TEST_CASE("files and folders that cannot be used are refused") {
  check_refused("--data cifar10 --data-dir nowhere", "nowhere");
  check_refused("--init nowhere.safetensors", "cannot read nowhere.safetensors");
  check_refused("--config nowhere.json", "cannot read nowhere.json");
  check_refused("--resume nowhere", "nowhere");
  check_refused("--out /dev/null/run",
                "cannot create the run directory /dev/null/run");  // permissions do not stop root

  TemporaryFolder folder;
  write(folder.file("full/file"), "");
  write(folder.file("broken.json"), "{\"lr\": ");
  write(folder.file("list.json"), "{\"options\": {\"lr\": [1, 2]}}");
  write(folder.file("unknown.json"), "{\"options\": {\"learning-rate\": 1}}");
  write(folder.file("weights"), "not a safetensors file");
  std::filesystem::create_directory(folder.file("full"));
  write(folder.file("full/file"), "");
  check_refused("--out " + folder.file("full"), "is not empty");
  CHECK(!std::filesystem::exists(folder.file("full/lock")));
  check_refused("--out " + folder.file("weights"), "cannot create the run directory");
  check_refused("--config " + folder.file("broken.json"), "broken.json: not a JSON object");
  check_refused("--config " + folder.file("list.json"), "list.json: lr: not a number");
  check_refused("--config " + folder.file("unknown.json"), "unknown option 'learning-rate'");
  check_refused("--init " + folder.file("weights"), "weights");
  check_refused("--resume x --config y", "--config cannot be used with --resume");
}

TEST_CASE("text that is not UTF-8 is refused before it would go into a file") {
  check_refused("--out caf\xe9", "--out: \"caf\xef\xbf\xbd\" is not UTF-8 text");
  check_refused("--data synthetic --weights=\xff --optim dm", "--weights: ");
  const Result result = run("train", "--dry-run", {.environment = {"ACTGRAD_DATA=caf\xe9"}});
  CHECK(result.code == 2);
  CHECK(result.err.rfind("train: ACTGRAD_DATA: ", 0) == 0);
  CHECK(dry_run("--out café")["options"]["out"] == "café");
}

TEST_CASE("a single image is refused where it would have to be standardised alone") {
  const std::string common = "--model cnn1 --batch-norm --data synthetic --epochs 1 --threads 1 ";
  check_refused(common + "--train-samples 5 --batch-size 4 --accumulate 2",
                "5 training images in batches of 4 leave one alone, which batch normalisation cannot standardise: "
                "change --batch-size or --train-samples");
  check_refused(common + "--train-samples 4 --batch-size 1", "4 training images in batches of 1 leave one alone");
  check_refused(common + "--train-samples 4 --test-samples 1", "change --test-samples");
  check_refused(common + "--train-samples 4 --test-samples 501", "501 test images in batches of 500 leave one alone");
  TemporaryFolder folder;
  const auto trains = [&](const std::string& arguments) {
    return run("train", arguments + "--epochs 1 --out " + folder.file("run"), {.folder = folder.path()}).code == 0;
  };
  CHECK(trains(common + "--train-samples 6 --batch-size 4 --test-samples 2 "));
  const Result result = run("evaluate", folder.file("run") + " --test-samples 3 --batch-size 2");
  CHECK(result.code == 2);
  CHECK(result.err.find("change --batch-size or --test-samples") != std::string::npos);
  // Elsewhere the positions of one image are enough.
  std::filesystem::remove_all(folder.file("run"));
  CHECK(trains("--model resnet20 --data synthetic --train-samples 5 --batch-size 4 --test-samples 1 --threads 1 "));
}

TEST_CASE("the published code's command line means the same here") {
  const Json options = dry_run(
      "--model resnet20 --optim adaact --lr 0.1 --beta1 0.9 --beta2 0.999 --eps 1e-8 --weight_decay 0.002 --epoch 200 "
      "--run 3 "
      "--batchsize 64 --lr_scheduler cosine --data_dir somewhere")["options"];
  CHECK(options["model"] == "resnet20");
  CHECK(options["optim"] == "adaact");
  CHECK(options["lr"] == 0.1);
  CHECK(options["beta1"] == 0.9);
  CHECK(options["beta2"] == 0.999);
  CHECK(options["eps"] == 1e-8);
  CHECK(options["weight-decay"] == 0.002);
  CHECK(options["epochs"] == 200);
  CHECK(options["seed"] == 3);
  CHECK(options["batch-size"] == 64);
  CHECK(options["schedule"] == "cosine");
  CHECK(options["data-dir"] == "somewhere");
  CHECK(options["data"] == "synthetic");  // there is no CIFAR-10 in "somewhere"
}

TEST_CASE("defaults are the paper's, and say where they come from") {
  const Json adaact = dry_run("--optim adaact");
  CHECK(adaact["options"]["lr"] == 0.1);
  CHECK(adaact["options"]["weight-decay"] == 0.002);
  CHECK(adaact["sources"]["lr"] == "AdaAct paper, Appendix E");
  CHECK(adaact["sources"]["data"] == "what lies in the data directory");
  CHECK(adaact["options"]["augment"] == true);
  CHECK(adaact.contains("version"));
  CHECK(adaact.contains("commit"));
  CHECK(adaact["machine"].contains("cpu"));

  const Json sgd = dry_run("--optim sgd --model lenet5 --momentum 0.5");
  CHECK(sgd["options"]["lr"] == 0.01);  // our choice for networks without batch normalisation
  CHECK(sgd["sources"]["lr"].get<std::string>().find("our choice") == 0);
  CHECK(sgd["sources"]["momentum"] == "command line");
  CHECK(!sgd["options"].contains("beta1"));
  CHECK(dry_run("--optim sgd --model resnet20")["options"]["lr"] == 0.1);
  CHECK(dry_run("--data mnist")["options"]["augment"] == false);
  CHECK(dry_run("--no-augment --no_shuffle")["options"]["shuffle"] == false);
  CHECK(dry_run("--lr 0.2 --lr 0.3")["options"]["lr"] == 0.3);
  CHECK(dry_run("", {.environment = {"ACTGRAD_DATA=/data/somewhere"}})["options"]["data-dir"] == "/data/somewhere");
}

TEST_CASE("options repeat with --config, and the command line wins") {
  TemporaryFolder folder;
  const std::string first = folder.file("first.json");
  write(first,
        run("train", "--model mlp --hidden 20,10 --optim adam --lr 0.003 --epochs 7 --seed 5 --no-shuffle --dry-run")
            .out);
  const Json before = Json::parse(contents(first));
  CHECK(dry_run("--config " + first)["options"] == before["options"]);
  CHECK(dry_run("--config " + first)["sources"]["lr"] == "configuration file");

  const Json changed = dry_run("--config " + first + " --epochs 9 --beta1 0.8")["options"];
  CHECK(changed["epochs"] == 9);
  CHECK(changed["beta1"] == 0.8);
  CHECK(changed["lr"] == 0.003);
  // Another optimizer gets its own defaults, not the recorded rate of the first.
  const Json other = dry_run("--config " + first + " --optim adaact --model lenet5")["options"];
  CHECK(other["lr"] == 0.1);
  CHECK(other["epochs"] == 7);
  CHECK(!other.contains("hidden"));

  write(folder.file("by_hand.json"), R"({"model": "mlp", "batch_size": 32, "augment": true})");
  const Json by_hand = dry_run("--config " + folder.file("by_hand.json"))["options"];
  CHECK(by_hand["batch-size"] == 32);
  CHECK(by_hand["model"] == "mlp");
}

TEST_CASE("what there is, --list and --help print") {
  for (const char* name : {"lenet5", "resnet20", "resnet110", "resnet34", "mlp"})
    CHECK(run("train", "--list models").out.find(name) != std::string::npos);
  for (const char* name : {"sgd", "adam", "adamw", "adan", "lamb", "adaact"})
    CHECK(run("train", "--list optimizers").out.find(name) != std::string::npos);
  for (const char* name : {"cifar10", "cifar100", "mnist", "fashion-mnist", "synthetic"})
    CHECK(run("train", "--list data").out.find(name) != std::string::npos);

  const Result help = run("train", "--help");
  CHECK(help.code == 0);
  for (const char* option : {"--model",
                             "--init",
                             "--optim",
                             "--data",
                             "--data-dir",
                             "--epochs",
                             "--batch-size",
                             "--lr",
                             "--momentum",
                             "--beta1",
                             "--beta2",
                             "--eps",
                             "--weight-decay",
                             "nesterov",
                             "--schedule",
                             "--warmup-epochs",
                             "--warmup-lr",
                             "--min-lr",
                             "--schedule-per",
                             "--clip-norm",
                             "decay-1d",
                             "--accumulate",
                             "augment",
                             "shuffle",
                             "--seed",
                             "--threads",
                             "--device",
                             "--precision",
                             "--conv",
                             "--train-samples",
                             "--test-samples",
                             "--out",
                             "--resume",
                             "--config",
                             "--dry-run",
                             "--list",
                             "[sgd 0.1, adam 0.001"})
    CHECK(help.out.find(option) != std::string::npos);
  CHECK(run("train", "--version").out.rfind("actgrad ", 0) == 0);
  CHECK(run("evaluate", "--help").code == 0);
  CHECK(run("bench", "--help").code == 0);
}
