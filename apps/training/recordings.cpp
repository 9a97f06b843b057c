#include "apps/training/recordings.h"

#include "core/options.h"
#include "core/split.h"

namespace actgrad {

Recordings Recordings::parse(const std::string& list) {
  Recordings recordings;
  if (list == "nothing") return recordings;
  for (const std::string& name : split(list)) {
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
