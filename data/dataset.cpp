#include "data/dataset.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "core/options.h"
#include "data/class_names.h"
#include "data/formats.h"

namespace actgrad {
namespace {

// A data set that lies in files.
struct Source {
  std::string name, help, folder;
  std::vector<std::string> train, test;  // file names; IDX: images, labels
  std::vector<double> mean, std;
  std::vector<std::string> (*class_names)();
};

constexpr std::int64_t cifar10_records = 10'000;
constexpr std::int64_t idx_size = 28;

// Means and standard deviations of the training pixels: the AdaAct paper's code for CIFAR, the usual ones for the
// others.
const std::vector<Source>& sources() {
  static const std::vector<std::string> idx_train = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte"};
  static const std::vector<std::string> idx_test = {"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"};
  static const std::vector<Source> all = {
      {"cifar10",
       "50,000 + 10,000 photographs, 32x32x3, 10 classes (Krizhevsky 2009)",
       "cifar-10-batches-bin",
       {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
       {"test_batch.bin"},
       {0.4914, 0.4822, 0.4465},
       {0.2470, 0.2435, 0.2616},
       cifar10_class_names},
      {"cifar100",
       "50,000 + 10,000 photographs, 32x32x3, 100 classes (Krizhevsky 2009)",
       "cifar-100-binary",
       {"train.bin"},
       {"test.bin"},
       {0.5071, 0.4865, 0.4409},
       {0.2673, 0.2564, 0.2762},
       cifar100_class_names},
      {"fashion-mnist",
       "60,000 + 10,000 articles of clothing, 28x28x1, 10 classes (Xiao, Rasul, Vollgraf 2017)",
       "fashion-mnist",
       idx_train,
       idx_test,
       {0.2860},
       {0.3530},
       fashion_mnist_class_names},
      {"mnist",
       "60,000 + 10,000 handwritten digits, 28x28x1, 10 classes (LeCun, Cortes, Burges 1998)",
       "mnist",
       idx_train,
       idx_test,
       {0.1307},
       {0.3081},
       mnist_class_names}};
  return all;
}

const Source* find_source(const std::string& name) {
  for (const Source& source : sources())
    if (source.name == name) return &source;
  return nullptr;
}

// The file in the data set's subfolder of `directory` or in `directory` itself, plain or compressed; "" if it is
// nowhere.
std::string find_file(const Source& source, const std::string& directory, const std::string& file) {
  for (const std::string& folder : {directory + "/" + source.folder, directory})
    for (const char* suffix : {"", ".gz"}) {
      const std::string path = folder + "/" + file + suffix;
      std::error_code ignored;
      if (std::filesystem::exists(path, ignored)) return path;
    }
  return "";
}

std::vector<std::string> find_files(const Source& source, const std::string& directory,
                                    const std::vector<std::string>& files) {
  std::vector<std::string> paths;
  for (const std::string& file : files) {
    paths.push_back(find_file(source, directory, file));
    if (paths.back().empty())
      throw UserError(source.name + ": " + file + " is neither in " + directory + "/" + source.folder + " nor in " +
                      directory + "; `scripts/get_data " + source.name +
                      "` downloads the data set, --data-dir says where it lies");
  }
  return paths;
}

}  // namespace

std::vector<std::string> dataset_names() {
  std::vector<std::string> names;
  for (const Source& source : sources()) names.push_back(source.name);
  names.push_back("synthetic");
  return names;
}

std::string dataset_help(const std::string& name) {
  if (name == "synthetic") return "10,000 + 2,000 textured shapes, 32x32x3, 10 classes, made from a seed: no download";
  if (const Source* source = find_source(name)) return source->help;
  throw UserError(unknown_name("data set", name, dataset_names()));
}

bool dataset_augmented(const std::string& name) {
  return name == "cifar10" || name == "cifar100" || name == "synthetic";
}

bool dataset_available(const std::string& name, const std::string& directory) {
  const Source* source = find_source(name);
  if (!source) return name == "synthetic";
  const auto found = [&](const std::string& file) { return !find_file(*source, directory, file).empty(); };
  return std::all_of(source->train.begin(), source->train.end(), found) &&
         std::all_of(source->test.begin(), source->test.end(), found);
}

Dataset load_dataset(const std::string& name, const std::string& directory) {
  if (name == "synthetic") return synthetic_dataset();
  const Source* source = find_source(name);
  if (!source) throw UserError(unknown_name("data set", name, dataset_names()));

  Dataset set;
  set.name = name;
  set.mean = source->mean;
  set.std = source->std;
  set.class_names = source->class_names();
  set.classes = static_cast<std::int64_t>(set.class_names.size());
  const std::vector<std::string> train = find_files(*source, directory, source->train);
  const std::vector<std::string> test = find_files(*source, directory, source->test);
  if (name == "cifar10") {
    set.train = read_cifar(train, cifar10_records, 1, set.classes);
    set.test = read_cifar(test, cifar10_records, 1, set.classes);
  } else if (name == "cifar100") {
    set.train = read_cifar(train, 50'000, 2, set.classes);
    set.test = read_cifar(test, 10'000, 2, set.classes);
  } else {
    set.train = read_idx(train[0], train[1], 60'000, idx_size, set.classes);
    set.test = read_idx(test[0], test[1], 10'000, idx_size, set.classes);
  }
  set.augment = dataset_augmented(name);
  return set;
}

ImageSet first_images(const ImageSet& set, std::int64_t count) {
  if (count <= 0 || count >= set.size()) return set;
  return {set.images.slice(0, count), set.labels.slice(0, count)};
}

}  // namespace actgrad
