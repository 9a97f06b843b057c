// What the labels of the data sets mean, in the order of the labels.
#pragma once

#include <string>
#include <vector>

namespace actgrad {

std::vector<std::string> cifar10_class_names();
std::vector<std::string> cifar100_class_names();  // the 100 fine classes
std::vector<std::string> fashion_mnist_class_names();
std::vector<std::string> mnist_class_names();

}  // namespace actgrad
