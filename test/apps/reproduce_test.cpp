// reproduce: small experiments on the synthetic set, done by the real programs.
#include <signal.h>
#include <sys/stat.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "program.h"
#include "test/catch.h"

using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

void check_code(const Result& result, int code) {
  INFO(result.out << result.err);
  REQUIRE(result.code == code);
}

// Two optimizers, two seeds, an accuracy that a paper is supposed to have had.
const std::string small_experiment = R"({
  "title": "A small one",
  "options": {"model": "mlp", "hidden": "8", "data": "synthetic", "epochs": 3, "train-samples": 256,
              "test-samples": 50, "batch-size": 16},
  "seeds": [0, 1],
  "axes": [{"name": "optimizer", "values": [
    {"label": "AdaAct", "options": {"optim": "adaact", "lr": 0.05}, "sources": {"lr": "a guess"}},
    {"label": "SGD", "options": {"optim": "sgd"}}]}],
  "paper": {"AdaAct": [50.5, 0.25]}
})";

// A CSV file's cells by column, without quotation marks inside.
std::map<std::string, std::vector<std::string>> read_csv(const std::string& path) {
  std::istringstream lines(contents(path));
  std::vector<std::string> names;
  std::map<std::string, std::vector<std::string>> columns;
  for (std::string line; std::getline(lines, line);) {
    std::vector<std::string> cells(1);
    bool quoted = false;
    for (const char c : line) {
      if (c == '"')
        quoted = !quoted;
      else if (c == ',' && !quoted)
        cells.emplace_back();
      else
        cells.back() += c;
    }
    if (names.empty()) {
      names = cells;
      continue;
    }
    REQUIRE(cells.size() == names.size());
    for (std::size_t i = 0; i < cells.size(); ++i) columns[names[i]].push_back(cells[i]);
  }
  return columns;
}

// What must not depend on when and how often the program was stopped.
std::map<std::string, std::vector<std::string>> table_without_times(const std::string& out) {
  auto table = read_csv(out + "/own/table.csv");
  REQUIRE(table.erase("seconds_per_epoch") == 1);
  return table;
}

Json experiment_json(const std::string& out) {
  return Json::parse(contents(out + "/own/experiment.json"));
}

std::int64_t count_of(const std::string& text, const std::string& word) {
  std::int64_t count = 0;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++count;
  return count;
}

// Kills a process of train that works in `folder`, if there is one.
void kill_train(const std::string& folder) {
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string words = contents((entry.path() / "cmdline").string());  // separated by zeros
    if (words.substr(0, words.find('\0')) != std::string(ACTGRAD_PROGRAMS) + "/train") continue;
    if (words.find(folder) == std::string::npos) continue;
    ::kill(std::stoi(entry.path().filename().string()), SIGKILL);
    return;
  }
}

}  // namespace

TEST_CASE("every experiment that is built in can be planned at every scale") {
  const Result list = run("reproduce", "list");
  check_code(list, 0);
  std::istringstream lines(list.out);
  std::map<std::string, std::string> first_lines;
  for (std::string line; std::getline(lines, line);) {
    const std::string name = line.substr(0, line.find(' '));
    for (const char* scale : {"full", "short", "smoke"}) {
      const Result shown = run("reproduce", "show " + name + " --scale " + scale);
      check_code(shown, 0);
      first_lines[name + " " + scale] = shown.out.substr(0, shown.out.find('\n'));
      if (name == "table1" && scale == std::string("full")) CHECK(shown.out.find("\n160 runs\n") != std::string::npos);
      if (name == "figure5" && scale == std::string("full")) CHECK(shown.out.find("\n20 runs\n") != std::string::npos);
    }
  }
  CHECK(first_lines.size() == 3 * 13);
  CHECK(first_lines.at("table1 full").find('[') == std::string::npos);
  CHECK(first_lines.at("table1 short").find("[short: 10 epochs, 1 seed]") != std::string::npos);
  CHECK(first_lines.at("hyperadam-table3 short").find("[short: 100 steps, 10 starts, 1 seed]") != std::string::npos);
  CHECK(first_lines.at("figure1 smoke").find("[smoke: synthetic data") != std::string::npos);
}

TEST_CASE("SGD is Nesterov's on CIFAR-100 only, and says so") {
  const Result result = run("reproduce", "show table1 --only optimizer=sgd");
  check_code(result, 0);
  const std::size_t cifar100 = result.out.find("SGD, CIFAR-100 ResNet-34");
  REQUIRE(cifar100 != std::string::npos);
  CHECK(result.out.substr(0, cifar100).find("nesterov      false") != std::string::npos);
  CHECK(result.out.substr(cifar100).find("nesterov      true      published code, CIFAR-100") != std::string::npos);
  CHECK(result.out.find("AdaAct, ") == std::string::npos);
}

TEST_CASE("show shows what run does") {
  TemporaryFolder folder;
  write(folder.file("own.json"), R"({
    "options": {"data": "synthetic", "epochs": 5, "optim": "sam", "rho": 0.1}, "seeds": [0, 1],
    "axes": [{"name": "inside", "values": [{"label": "SGD", "options": {"base-optim": "sgd"}},
                                           {"label": "Adam,usual", "options": {"base-optim": "adam"}},
                                           {"label": "Adam,lr=1", "options": {"base-optim": "adam", "lr": 1}}]}]})");
  const auto shown = [&](const std::string& arguments) {
    const Result result = run("reproduce", "show " + folder.file("own.json") + " " + arguments);
    check_code(result, 0);
    return result.out;
  };
  const std::string all = shown("");
  CHECK(all.find("\n6 runs\n") != std::string::npos);
  CHECK(count_of(all, "  train --model=lenet5 ") == 6);
  CHECK(count_of(all, "--base-optim=adam") == 4);
  CHECK(count_of(all, "--lr=") == 2);                        // Adam's own is as usual
  CHECK(all.find("--base-optim=sgd") == std::string::npos);  // as it is by itself

  const std::string first = shown("--seeds 1");
  CHECK(first.find("\n3 runs\n") != std::string::npos);
  CHECK(count_of(first, "  train ") == 3);
  CHECK(count_of(shown("--only seed=1"), "--seed=1") == 3);

  // Labels with commas.
  CHECK(count_of(shown("--only inside=Adam,usual,seed=0"), "  train ") == 1);
  CHECK(count_of(shown("--only inside=Adam\\,lr=1,seed=0"), "  train ") == 1);

  CHECK(shown("--scale short").find("[short: 5 epochs, 1 seed]") != std::string::npos);
  CHECK(shown("--scale smoke --seeds 2 --set epochs=1")
            .find("[smoke: synthetic data, 1 epoch, 2 seeds, small models, epochs=1]") != std::string::npos);
}

TEST_CASE("mistakes in a request or in an experiment's file are one line, and nothing is written") {
  TemporaryFolder folder;
  const auto refused = [&](const std::string& arguments, const std::string& message) {
    const Result result = run("reproduce", arguments, {.folder = folder.path()});
    INFO(arguments << "\n" << result.out << result.err);
    CHECK(result.code == 2);
    CHECK(result.err.find(message) != std::string::npos);
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
    CHECK_FALSE(fs::exists(folder.file("out")));
  };
  refused("runn", "did you mean 'run'?");
  refused("run tabel1 --out out", "did you mean 'table1'?");
  refused("run table1", "--out");
  refused("run table1 --out out --scale tiny", "--scale");
  refused("run table1 --out out --only optm=sgd", "did you mean 'optim'?");
  refused("run table1 --out out --only optim=lamb", "no run fits");
  refused("run table1 --out out --only optim", "KEY=VALUE");
  refused("run missing.json --out out", "missing.json");
  refused("run table1 --out out --data-dir nowhere", "scripts/get_data");
  refused("status --out out", "out");
  refused("compare nowhere", "nowhere");
  refused("sweep --out out", "sweep over what?");
  refused("sweep --out out --optim adaact,sgdd", "did you mean 'sgd'?");
  refused("", "which command?");
  refused("run table1 --out out --threads 2000", "--threads");
  refused("run table1 --out out --set threads=2", "use --threads");
  refused("run table1 --out out --set seed=2", "use the member \"seeds\"");
  const std::string quick =
      "sweep --out out --model mlp --hidden 8 --data synthetic --epochs 1 --train-samples 64 --optim sgd ";
  refused(quick + "--seed 0,0", "seed 0 is given twice");
  refused(quick + "--lr 0.1,0.1", "lr '0.1' is given twice");
  for (const char* name : {"..", "../beside", "a/b", "runs"}) refused(quick + "--name " + name, "cannot be the name");
  const std::string too_long(300, 'x');
  refused("status --out " + too_long, "cannot read xxx");
  refused("compare " + too_long, "cannot read xxx");

  const auto file = [&](const std::string& text, const std::string& message) {
    write(folder.file("own.json"), text);
    refused("run own.json --out out", message);
  };
  file("{", "not a JSON object");
  file(R"({"optoins": {}})", "did you mean 'options'?");
  file(R"({"options": {"learning-rate": 1}})", "learning-rate");
  file(R"({"options": {"lr": "fast"}})", "--lr");
  file(R"({"options": {"optim": "sgd", "beta1": 0.9}})", "--beta1: sgd has no such option");
  file(R"({"axes": [{"name": "a", "values": []}]})", "no values");
  file(R"({"axes": [{"name": "a", "values": [{"label": "x"}]}], "rules": [{"when": {"a": "y"}}]})", "'y'");
  file(R"({"axes": [{"name": "a", "values": [{"label": "x"}]}], "paper": {"x": "3"}})", "paper.x");
  file(R"({"program": "optimize"})", "did you mean 'optimise'?");
  file(R"({"program": "optimise", "metric": "top3"})", "did you mean 'top1'?");
  file(R"({"program": "optimise", "options": {"epochs": 3}})", "epochs");
  file(R"({"sources": {"lr": "somewhere"}})", "no option 'lr'");
  file(R"({"same-runs-as": "own.json"})", "same-runs-as");
  file(R"({"options": {"device": "cpu"}})", "use --device");
  file(R"({"options": {"record": "rates"}})", "use the member \"record\"");
  file(R"({"seeds": [3, 3]})", "seed 3 is given twice");
  file(R"({"axes": [{"name": "a", "values": [{"label": "x"}, {"label": "x"}]}]})", "a 'x' is given twice");
  file(R"({"extra": [{"labels": {}, "smoke": {"model": "mlp"}}]})", "extra: needs axes");
  write(folder.file("own.json"), R"({"options": {"data": "synthetic"}})");
  refused("run own.json --out own.json/inside", "cannot create own.json/inside");
}

TEST_CASE("an experiment of one's own: runs, tables, nothing done twice") {
  TemporaryFolder folder;
  write(folder.file("own.json"), small_experiment);
  const std::string out = folder.file("out"),
                    request = "run " + folder.file("own.json") + " --no-pictures --out " + out;
  const Result first = run("reproduce", request + " --jobs 2");
  check_code(first, 0);
  CHECK(first.err.empty());
  CHECK(first.out.find("4 runs, 4 to do, 2 side by side") != std::string::npos);
  CHECK(first.out.find("4 runs finished") != std::string::npos);

  const Json experiment = experiment_json(out);
  REQUIRE(experiment["groups"].size() == 2);
  const Json& group = experiment["groups"][0];
  CHECK(group["labels"]["optimizer"] == "AdaAct");
  CHECK(group["sources"]["lr"] == "a guess");
  CHECK(group["sources"]["beta1"] == "AdaAct paper, Appendix E");
  CHECK(group["options"]["hidden"] == "8");
  double best[2], last[2];
  for (std::size_t seed = 0; seed < 2; ++seed) {
    const Json& entry = group["runs"][seed];
    CHECK(entry["seed"] == seed);
    CHECK(entry["status"] == "finished");
    const Json summary = Json::parse(contents(out + "/" + entry["directory"].get<std::string>() + "/summary.json"));
    best[seed] = summary["best_test_accuracy"];
    last[seed] = summary["last_test_accuracy"];
  }
  const auto table = read_csv(out + "/own/table.csv");
  const auto cell = [&](const std::string& name) { return std::stod(table.at(name).at(0)); };
  CHECK(cell("n") == 2);
  CHECK(cell("best_mean") == Approx((best[0] + best[1]) / 2));
  CHECK(cell("best_se") == Approx(std::abs(best[0] - best[1]) / 2));  // of two: √(2(d/2)²/1)/√2
  CHECK(cell("last_mean") == Approx((last[0] + last[1]) / 2));
  CHECK(cell("paper_mean") == 50.5);
  CHECK(cell("difference") == Approx((best[0] + best[1]) / 2 - 50.5));
  CHECK(table.at("paper_mean").at(1).empty());
  const auto curves = read_csv(out + "/own/curves.csv");
  CHECK(curves.at("epoch") == std::vector<std::string>{"1", "2", "3", "1", "2", "3"});
  CHECK(std::stod(curves.at("mean").at(2)) == Approx((last[0] + last[1]) / 2));

  const Result again = run("reproduce", request);
  check_code(again, 0);
  CHECK(again.out.find("4 runs, 4 finished before\n") != std::string::npos);

  // A run is known by its options, not by its directory's name.
  fs::rename(out + "/" + group["runs"][1]["directory"].get<std::string>(), out + "/runs/brought along");
  const Result renamed = run("reproduce", request);
  CHECK(renamed.out.find("4 runs, 4 finished before\n") != std::string::npos);
  CHECK(experiment_json(out)["groups"][0]["runs"][1]["directory"] == "runs/brought along");

  // What is no run's does not count, and hinders nothing.
  fs::create_directory(out + "/runs/odd");
  write(out + "/runs/odd/config.json", R"({"options": 5})");
  const Result odd = run("reproduce", "status --out " + out);
  check_code(odd, 0);
  CHECK(odd.out.find("4 runs: 4 finished") != std::string::npos);
  CHECK(odd.err.find("/runs/odd/config.json: ") != std::string::npos);
  CHECK(count_of(odd.err, "\n") == 1);
  write(out + "/runs/odd/config.json", R"({"options": {"optim": "sgd", "record": 1}})");
  CHECK(run("reproduce", "status --out " + out).err.find("/runs/odd/config.json: ") != std::string::npos);
  fs::remove_all(out + "/runs/odd");

  const Result report = run("reproduce", "report --no-pictures --out " + out);
  check_code(report, 0);
  const std::string page = contents(out + "/report.html");
  CHECK(page.find("A small one") != std::string::npos);
  CHECK(page.find("50.50 ± 0.25") != std::string::npos);
  CHECK(page.find("a guess") != std::string::npos);
  for (const char* outside : {"src=\"http", "href=\"http", "<link", "@import", "url("})
    CHECK(page.find(outside) == std::string::npos);

  const Result compared = run("reproduce", "compare " + out);
  check_code(compared, 0);
  std::istringstream lines(compared.out);
  std::string header;
  std::getline(lines, header);
  CHECK(header.find("optim") != std::string::npos);
  CHECK(header.find("seed") != std::string::npos);
  CHECK(header.find("hidden") == std::string::npos);  // the same in all
  CHECK(count_of(compared.out, "\n") == 5);
}

TEST_CASE("an experiment of optimise: losses beside the paper's, several numbers of one run") {
  TemporaryFolder folder;
  write(folder.file("own.json"), R"({
    "program": "optimise", "options": {"task": "mlp-tanh", "synthetic": true, "steps": 3, "starts": 4,
    "train-samples": 64, "batch-size": 16}, "sources": {"starts": "a guess"},
    "axes": [{"name": "optimizer", "values": [{"label": "Adam", "options": {"optim": "adam"}},
                                              {"label": "SGD", "options": {"optim": "sgd", "lr": 0.01}}]},
             {"name": "measure", "values": [{"label": "loss"}, {"label": "top-1", "metric": "top1"}]}],
    "paper": {"Adam": {"loss": 0.34, "top-1": [90, 0.5]}}})");
  const std::string out = folder.file("out"),
                    request = "run " + folder.file("own.json") + " --no-pictures --out " + out;
  const Result first = run("reproduce", request);
  check_code(first, 0);
  CHECK(first.out.find("2 runs finished") != std::string::npos);  // each of two groups
  CHECK(run("reproduce", request).out.find("2 runs, 2 finished before") != std::string::npos);
  const auto table = read_csv(out + "/own/table.csv");
  const Json entry = experiment_json(out)["groups"][0];
  const Json summary =
      Json::parse(contents(out + "/" + entry["runs"][0]["directory"].get<std::string>() + "/summary.json"));
  const auto near = [&](const std::string& column, std::size_t row, const std::string& name) {
    CHECK(std::abs(std::stod(table.at(column).at(row)) - summary[name].get<double>()) < 1e-9);
  };
  near("best_mean", 0, "last_loss");
  near("best_se", 0, "last_loss_se");
  near("last_mean", 0, "final_loss");
  near("best_mean", 1, "top1");
  CHECK(table.at("n").at(0) == "4");
  CHECK(table.at("paper_se").at(0).empty());
  CHECK(std::stod(table.at("paper_se").at(1)) == 0.5);
  CHECK(table.at("sources").at(0).find("lr=0.0110485: HyperAdam, published code") != std::string::npos);
  const auto curves = read_csv(out + "/own/curves.csv");
  REQUIRE(curves.at("step").size() == 4 * 3);
  CHECK(std::abs(std::stod(curves.at("mean").at(2)) - summary["last_loss"].get<double>()) < 1e-9);
  const std::string text = contents(out + "/own/table.md");
  CHECK(text.find("| 2 |\n", text.find("**Provenance")) != std::string::npos);  // each run once
}

TEST_CASE("a run that fails is reported, and the others go on") {
  TemporaryFolder folder;
  std::string text = small_experiment;
  text.replace(text.find("0.05"), 4, "1e30");  // the loss becomes infinite
  write(folder.file("own.json"), text);
  const std::string out = folder.file("out"),
                    request = "run " + folder.file("own.json") + " --no-pictures --out " + out;
  const Result result = run("reproduce", request);
  check_code(result, 1);
  CHECK(result.out.find("2 runs finished, 2 failed") != std::string::npos);
  CHECK(result.out.find("the loss is") != std::string::npos);
  const auto table = read_csv(out + "/own/table.csv");
  CHECK(table.at("n") == std::vector<std::string>{"0", "2"});
  CHECK(table.at("failed") == std::vector<std::string>{"2", "0"});
  CHECK(table.at("best_mean").at(0).empty());
  const Result status = run("reproduce", "status --out " + out);
  CHECK(status.out.find("2 finished, 2 failed") != std::string::npos);

  const auto tries = [&] {
    std::int64_t count = 0;
    for (const auto& entry : fs::directory_iterator(out + "/logs"))
      if (entry.path().extension() == ".log") count += count_of(contents(entry.path()), "the loss is");
    return count;
  };
  CHECK(tries() == 2);
  check_code(run("reproduce", request), 1);
  CHECK(tries() == 2);
  check_code(run("reproduce", request + " --retry"), 1);
  CHECK(tries() == 4);

  // Another process that tries a run again takes its .failed away between looking and reading: a socket is there, too,
  // and cannot be read.
  for (const auto& entry : fs::directory_iterator(out + "/logs")) {
    if (entry.path().extension() != ".failed") continue;
    fs::remove(entry.path());
    REQUIRE(::mknod(entry.path().c_str(), S_IFSOCK | 0600, 0) == 0);
    break;
  }
  const Result while_tried = run("reproduce", "status --out " + out);
  check_code(while_tried, 0);
  CHECK(while_tried.out.find("1 interrupted, 2 finished, 1 failed") != std::string::npos);
}

TEST_CASE("killed at random points and started again, the table is the same") {
  TemporaryFolder folder;
  write(folder.file("own.json"), small_experiment);
  const std::string request = "run " + folder.file("own.json") + " --no-pictures --jobs 2 --threads 1 --out ";
  check_code(run("reproduce", request + folder.file("whole")), 0);

  const std::string out = folder.file("out");
  std::mt19937 random(std::random_device{}());
  for (int attempt = 0; attempt < 8; ++attempt) {
    const int signal = attempt % 4 == 3 ? SIGTERM : SIGKILL;
    Program program("reproduce", request + out);
    for (unsigned pauses = random() % 600; pauses > 0 && program.running(); --pauses) pause_briefly();
    if (attempt % 2 == 0) kill_train(folder.path());
    program.send(signal);
    program.wait();
  }
  check_code(run("reproduce", request + out), 0);
  CHECK(table_without_times(out) == table_without_times(folder.file("whole")));
  CHECK(contents(out + "/own/curves.csv") == contents(folder.file("whole/own/curves.csv")));

  // Killed before it had written what it is: a directory that is no run yet.
  for (const Json& entry : experiment_json(out)["groups"][0]["runs"]) {
    const std::string directory = folder.file("early/runs/" + entry["name"].get<std::string>());
    fs::create_directories(directory);
    write(directory + "/config.json.tmp-1-0", "{");
    write(directory + "/lock", "");
  }
  check_code(run("reproduce", request + folder.file("early")), 0);
  CHECK(table_without_times(folder.file("early")) == table_without_times(out));
}

TEST_CASE("in a terminal one line shows the whole") {
  TemporaryFolder folder;
  write(folder.file("own.json"), small_experiment);
  const Result result = run(
      "reproduce", "run " + folder.file("own.json") + " --no-pictures --out " + folder.file("out"), {.terminal = true});
  check_code(result, 0);
  CHECK(result.out.find("\r0/4 runs  mlp-synthetic-adaact-") != std::string::npos);
  CHECK(result.out.find("\r3/4 runs") != std::string::npos);
  CHECK(result.out.find("  eta 0:") != std::string::npos);
}

TEST_CASE("a signal stops the runs, which save their states") {
  TemporaryFolder folder;
  std::string text = small_experiment;
  text.replace(text.find("\"epochs\": 3"), 11, "\"epochs\": 500");
  write(folder.file("own.json"), text);
  const std::string out = folder.file("out");
  Program program("reproduce", "run " + folder.file("own.json") + " --jobs 2 --out " + out);
  const auto begun = [&] {
    std::int64_t count = 0;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(out + "/runs", none))
      count += fs::exists(entry.path() / "summary.json");
    return count == 2;
  };
  REQUIRE(wait_until([&] { return begun() || !program.running(); }));
  const Result while_running = run("reproduce", "status --out " + out);
  CHECK(while_running.out.find("2 waiting, 2 running") != std::string::npos);
  program.send(SIGTERM);
  check_code(program.wait(), 143);
  const Result status = run("reproduce", "status --out " + out);
  CHECK(status.out.find("2 waiting, 2 interrupted") != std::string::npos);
}

TEST_CASE("two processes share the work") {
  TemporaryFolder folder;
  write(folder.file("own.json"), small_experiment);
  const std::string request =
      "run " + folder.file("own.json") + " --no-pictures --threads 1 --out " + folder.file("out");
  Program a("reproduce", request), b("reproduce", request);
  const Result of_a = a.wait(), of_b = b.wait();
  check_code(of_a, 0);
  check_code(of_b, 0);
  CHECK(count_of(of_a.out + of_b.out, ": test accuracy best") == 4);  // each run once
  CHECK(read_csv(folder.file("out/own/table.csv")).at("n") == std::vector<std::string>{"2", "2"});
}

TEST_CASE("a sweep does every combination") {
  TemporaryFolder folder;
  const Result result =
      run("reproduce",
          "sweep --model mlp --hidden 8;8,4 --optim adaact,sgd --epochs 1 --train-samples 64 --test-samples 50 "
          "--batch-size 32 --data synthetic --seeds 2 --jobs 2 --no-pictures --out " +
              folder.file("out"));
  check_code(result, 0);
  CHECK(result.out.find("optim   best ") != std::string::npos);
  const auto table = read_csv(folder.file("out/sweep/table.csv"));
  CHECK(table.at("hidden") == std::vector<std::string>{"8", "8", "8,4", "8,4"});
  CHECK(table.at("optim") == std::vector<std::string>{"adaact", "sgd", "adaact", "sgd"});
  CHECK(table.at("n") == std::vector<std::string>(4, "2"));
}
