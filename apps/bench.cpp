// bench: times whole training steps and single kernels.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "apps/bench/kernels.h"
#include "apps/bench/step.h"
#include "apps/training/build_info.h"
#include "apps/training/command_line.h"
#include "apps/training/run_config.h"
#include "core/device_backend.h"
#include "core/error.h"
#include "core/split.h"
#include "kernels/parallel.h"
#include "layers/model.h"
#include "optim/optimizer.h"

namespace actgrad {
namespace {

using Json = nlohmann::ordered_json;

CommandLine command_line() {
  CommandLine line;
  line.program = "bench";
  line.usage = "bench step [options]\n       bench kernels [options]";
  line.description =
      "step: whole training steps on a fixed batch of random 32x32x3 images, split into forward, backward and "
      "optimizer; "
      "several optimizers take turns; beside it the least time that its memory traffic and arithmetic would take. "
      "kernels: each kernel on the shapes that the model gives it.";
  line.groups = {
      {"Options",
       {{.option = {"model", std::string("resnet20"), "see train --list models"}, .placeholder = "NAME"},
        {.option = {"optim", std::string("adaact"), "step: one optimizer, or several to compare, such as sgd,adaact"},
         .placeholder = "LIST"},
        {.option = Option{"batch-size", std::int64_t{128}, "images per batch"}.range(1, 1e6)},
        {.option = Option{"threads", std::int64_t{kernels::threads()}, "CPU threads"}.range(1, 1024),
         .default_text = "all cores"},
        {.option = Option{"steps", std::int64_t{50}, "step: how many are timed, of each optimizer"}.range(1, 1e6)},
        {.option = Option{"warmup", std::int64_t{5}, "step: how many come before"}.range(0, 1e6)},
        {.option = {"device", std::string("cpu"), "step: auto, cpu, cuda, cuda:N"}, .placeholder = "NAME"},
        {.option = Option{"precision", std::string("fp32"),
                          "step: of all arithmetic; on CUDA also tf32, bf16: of the factors of matrix products"}
                       .one_of({"fp32", "fp64", "tf32", "bf16"})},
        {.option = {"graph", true, "step: on CUDA, record a step once and replay it"}},
        {.option = Option{"conv", std::string("auto"), "step: convolution engine"}.one_of(
             {"auto", "im2col", "library", "winograd", "direct"})},
        {.option = {"autotune", false, "step: on CUDA, keep the fastest algorithm of each convolution"}},
        {.option = {"fast-nondeterministic", false, "step: on CUDA, allow algorithms without repeatable sums"}},
        {.option = {"json", false, "print JSON"}, .action = true},
        {.option = {"help", false, "print this, and stop"}, .action = true}}}};
  return line;
}

Json conditions(const Options& options) {
  Json json = {{"model", options.text("model")},
               {"batch_size", options.integer("batch-size")},
               {"threads", options.integer("threads")},
               {"version", version()},
               {"commit", commit()}};
  json["machine"] = machine_description();
  return json;
}

Json to_json(const bench::StepResult& r) {
  return {{"optim", r.optimizer},
          {"median_ms", r.median_ms},
          {"min_ms", r.min_ms},
          {"max_ms", r.max_ms},
          {"images_per_second", r.images_per_second},
          {"peak_memory_bytes", r.peak_memory_bytes},
          {"state_bytes", r.state_bytes},
          {"forward_ms", r.forward_ms},
          {"backward_ms", r.backward_ms},
          {"optimizer_ms", r.optimizer_ms},
          {"ratio_to_first", r.ratio_to_first},
          {"launches", r.work.launches_per_step()},
          {"bytes_moved", r.work.bytes()},
          {"flops", r.work.flops()},
          {"roofline_ms", r.roofline_ms},
          {"times_roofline", r.median_ms / r.roofline_ms}};
}

Json to_json(const bench::Peaks& peaks) {
  return {{"gbytes_per_second", peaks.bytes_per_second * 1e-9},
          {"gflops", peaks.flops_per_second * 1e-9},
          {"product_gflops", peaks.product_flops_per_second * 1e-9}};
}

bool emulated(Device device) {
  return !device.is_cpu() && device_backend().emulated();
}

// What a step asks of the device, and how long that would take at the device's limits.
void print_roofline(const bench::StepReport& report, Device device, const std::string& precision) {
  std::printf("\n%-10s%10s%10s%10s%14s%12s\n", "one step", "launches", "GB", "GFLOP", "roofline ms", "median is");
  for (const bench::StepResult& r : report.results) {
    std::printf("%-10s%10.0f%10.4f%10.3f%14.4f%11.2fx\n", r.optimizer.c_str(), r.work.launches_per_step(),
                r.work.bytes() * 1e-9, r.work.flops() * 1e-9, r.roofline_ms, r.median_ms / r.roofline_ms);
  }
  std::printf(
      "Roofline: for each operation what takes longer, its bytes (each tensor once) at %.4g GB/s or its arithmetic at "
      "%.4g GFLOP/s,\nmatrix products and convolutions (all terms of their sums) in %s at %.4g GFLOP/s; all measured "
      "here.%s\n",
      report.peaks.bytes_per_second * 1e-9, report.peaks.flops_per_second * 1e-9, precision.c_str(),
      report.peaks.product_flops_per_second * 1e-9,
      emulated(device) ? "\nThe device is emulated: the counts hold, no time says anything about a GPU." : "");
}

std::string threads_or_device(Device device) {
  return device.is_cpu() ? std::to_string(kernels::threads()) + " threads" : describe(device);
}

int run_step(Options options) {
  bench::StepSettings settings;
  settings.model = options.text("model");
  settings.optimizers = split(options.text("optim"));
  settings.batch_size = options.integer("batch-size");
  settings.steps = options.integer("steps");
  settings.warmup = options.integer("warmup");
  settings.dtype = options.text("precision") == "fp64" ? DType::float64 : DType::float32;
  settings.device = Device::parse(options.text("device"));
  settings.engine = kernels::parse_conv_engine(options.text("conv"), settings.device);
  options.set("device", settings.device.name());
  check_precision(options);
  prepare_process(options);
  settings.record = options.flag("graph");
  const bench::StepReport report = bench::bench_step(settings);
  const std::vector<bench::StepResult>& results = report.results;

  if (options.flag("json")) {
    // One optimizer: its figures at the top. Several: under "results".
    Json json = conditions(options);
    json["precision"] = options.text("precision");
    json["device"] = threads_or_device(settings.device);
    json["conv"] = options.text("conv");
    json["autotune"] = options.flag("autotune");
    json["fast_nondeterministic"] = options.flag("fast-nondeterministic");
    json["steps"] = settings.steps;
    json["emulated"] = emulated(settings.device);
    json["peaks"] = to_json(report.peaks);
    if (results.size() == 1)
      json.update(to_json(results.front()));
    else
      for (const bench::StepResult& result : results) json["results"].push_back(to_json(result));
    std::printf("%s\n", json.dump(2).c_str());
    return 0;
  }
  std::printf("%s, batch %lld, %s, %s, %lld steps of each optimizer\n", settings.model.c_str(),
              static_cast<long long>(settings.batch_size), threads_or_device(settings.device).c_str(),
              options.text("precision").c_str(), static_cast<long long>(settings.steps));
  std::printf("%-10s%10s%10s%10s%10s%10s%11s%11s%10s%11s%8s\n", "", "median ms", "min ms", "max ms", "forward",
              "backward", "optimizer", "images/s", "peak MiB", "state MiB", "ratio");
  for (const bench::StepResult& r : results)
    std::printf("%-10s%10.2f%10.2f%10.2f%10.2f%10.2f%11.2f%11.0f%10.1f%11.2f%8.3f\n", r.optimizer.c_str(), r.median_ms,
                r.min_ms, r.max_ms, r.forward_ms, r.backward_ms, r.optimizer_ms, r.images_per_second,
                static_cast<double>(r.peak_memory_bytes) / (1 << 20), static_cast<double>(r.state_bytes) / (1 << 20),
                r.ratio_to_first);
  print_roofline(report, settings.device, options.text("precision"));
  return 0;
}

int run_kernels(const Options& options) {
  const bench::KernelReport report = bench::bench_kernels(options.text("model"), options.integer("batch-size"));
  const double peak = bench::multiply_add_peak(), at_peak_ms = report.convolution_gflop / peak * 1e3;
  double convolution_ms = 0;
  for (const bench::KernelResult& r : report.results) convolution_ms += r.uses * r.ms;
  if (options.flag("json")) {
    Json json = conditions(options);
    json["multiply_add_peak_gflops"] = peak;
    json["convolutions_ms"] = convolution_ms;
    json["direct_convolutions_at_peak_ms"] = at_peak_ms;
    for (const bench::KernelResult& r : report.results) {
      Json row = {{"kernel", r.kernel}, {"shape", r.shape}, {"ms", r.ms}};
      if (!r.engine.empty()) {
        row["engine"] = r.engine;
        row["error"] = r.error;
        row["uses"] = r.uses;
      }
      if (r.gflops > 0) row["gflops"] = r.gflops;
      if (r.gbytes > 0) row["gbytes_per_second"] = r.gbytes;
      json["results"].push_back(row);
    }
    std::printf("%s\n", json.dump(2).c_str());
    return 0;
  }
  std::printf("%s, batch %lld, %d threads, fp32; peak of multiply-adds in registers: %.0f GFLOP/s\n",
              options.text("model").c_str(), static_cast<long long>(options.integer("batch-size")), kernels::threads(),
              peak);
  std::printf("%-30s%-40s%-9s%9s%10s%8s%8s%9s%6s\n", "kernel", "shape", "engine", "ms", "GFLOP/s", "of peak", "GB/s",
              "error", "uses");
  for (const bench::KernelResult& r : report.results) {
    std::printf("%-30s%-40s%-9s%9.3f", r.kernel.c_str(), r.shape.c_str(), r.engine.c_str(), r.ms);
    if (r.gflops > 0) std::printf("%10.1f%7.0f%%", r.gflops, 100 * r.gflops / peak);
    if (r.gbytes > 0) std::printf("%26.1f", r.gbytes);
    if (!r.engine.empty()) std::printf("%17.1e", r.error);
    if (r.uses > 0) std::printf("%6d", r.uses);
    std::printf("\n");
  }
  std::printf(
      "\nThe convolutions of one training step, by the engines that --conv auto takes (\"uses\"): %.2f ms.\n"
      "Direct convolutions at the peak of multiply-adds would take %.2f ms.\n"
      "Error: against double, as a share of the largest value. Operands lie in the caches as far as they fit.\n",
      convolution_ms, at_peak_ms);
  return 0;
}

int bench_program(const std::vector<std::string>& arguments) {
  const CommandLine line = command_line();
  std::vector<std::string> words;
  const GivenOptions given = line.parse(arguments, words);
  OptionTable table;
  for (const CommandLineOption& entry : line.groups.front().options) table.push_back(entry.option);
  Options options(table);
  for (const GivenOption& option : given) options.set_text(option.name, option.text);
  if (options.flag("help")) return std::fputs(line.help().c_str(), stdout), 0;

  if (words.empty()) throw UserError("what should be timed? bench step, or bench kernels (see --help)");
  refuse_words({words.begin() + 1, words.end()});
  kernels::set_threads(static_cast<int>(options.integer("threads")));
  if (words.front() == "step") return run_step(options);
  if (words.front() == "kernels") return run_kernels(options);
  throw UserError(unknown_name("benchmark", words.front(), {"step", "kernels"}));
}

}  // namespace
}  // namespace actgrad

int main(int argc, char** argv) {
  return actgrad::run_program("bench", argc, argv, actgrad::bench_program);
}
