// What a run keeps besides its metrics: the option --record.
#pragma once

#include <string>

namespace actgrad {

struct Recordings {
  bool activation_variance = false;    // activation_recorder.h
  bool activation_covariance = false;  // activation_covariance.h
  bool rates = false;                  // rate_recorder.h

  // "activation-variance,rates"; "nothing". Throws UserError for unknown names.
  static Recordings parse(const std::string& list);
};

}  // namespace actgrad
