#include "apps/training/recordings.h"

#include <sstream>

#include "core/options.h"

namespace actgrad {

Recordings Recordings::parse(const std::string& list) {
  Recordings recordings;
  if (list == "nothing") return recordings;
  std::istringstream names(list);
  for (std::string name; std::getline(names, name, ',');) {
    if (name == "activation-variance")
      recordings.activation_variance = true;
    else if (name == "activation-covariance")
      recordings.activation_covariance = true;
    else if (name == "rates")
      recordings.rates = true;
    else
      throw UserError("--record: " +
                      unknown_name("recording", name, {"activation-variance", "activation-covariance", "rates"}));
  }
  return recordings;
}

}  // namespace actgrad
