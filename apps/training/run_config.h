// What decides a training run: its options with all defaults resolved. The command line, --help, config.json and the
// check on resuming derive from the tables of training_options.h and from those of the models and optimizers.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "apps/training/run_record.h"
#include "core/options.h"
#include "data/dataset.h"
#include "kernels/conv2d.h"
#include "kernels/precision.h"
#include "optim/schedule.h"

namespace actgrad {

struct RunConfig {
  Options run;        // everything that belongs to no particular model or optimizer
  Options model;      // of the model
  Options optimizer;  // of the optimizer, the learning rate included
  std::map<std::string, std::string>
      sources;  // of data and the optimizer's values: "command line", "AdaAct paper, Appendix E"

  const std::string& model_name() const { return run.text("model"); }
  const std::string& optimizer_name() const { return run.text("optim"); }
  // The one inside of an optimizer that is made around another, such as SAM; else the same.
  const std::string& base_optimizer_name() const {
    return optimizer.contains("base-optim") ? optimizer.text("base-optim") : optimizer_name();
  }
  const std::string& data_name() const { return run.text("data"); }
  DType dtype() const { return run.text("precision") == "fp64" ? DType::float64 : DType::float32; }
  kernels::MatrixPrecision matrix_precision() const { return kernels::parse_matrix_precision(run.text("precision")); }
  Device device() const { return Device::parse(run.text("device")); }
  kernels::ConvEngine conv_engine() const { return kernels::parse_conv_engine(run.text("conv"), device()); }
  Schedule schedule() const;

  OptionParts parts() const { return {&run, &model, &optimizer}; }
  // Those that decide the result, not where files lie or how fast it goes; not the number of epochs, which may change
  // on resuming.
  std::map<std::string, std::string> identity() const;
  std::string to_json() const { return config_json(parts(), sources); }
};

// Fills in what was not given: from `file` (the options of a config.json), else what the paper's experiments use for
// this optimizer, model and data set, else the tables' defaults. Options in `file` of another model or optimizer than
// the one given on the command line are left out. Throws UserError for values out of range, and for options that this
// optimizer does not have.
RunConfig resolve_config(const GivenOptions& given, const GivenOptions& file = {});

// Throws UserError when --precision does not go with the (resolved) --device.
void check_precision(const Options& options);

// Sets what the options say about threads, precision and algorithms, for the whole process. Throws UserError for what
// only a GPU has, on the CPU.
void prepare_process(const Options& options);

// The configuration for going on with the run in `directory`: as recorded there, with those of `given` that do not
// change what is done already: --epochs, --threads, --device, --data-dir, --graph. `notes` receives what the person
// should know about that. Throws UserError, naming the option, for any other that differs from the record.
RunConfig resume_config(const std::string& directory, const GivenOptions& given, std::vector<std::string>& notes);

// What is trained on, and why: the first line that train prints.
std::string describe_data(const RunConfig& config, const Dataset& data);

}  // namespace actgrad
