// ConfigCheck: collects the mistakes in settings, so that a user reads all of them at once.
// Thread safety: none; used while something is built.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace trestle {

class ConfigCheck {
 public:
  void Add(std::string mistake) { mistakes_.push_back(std::move(mistake)); }
  // Unless `ok`, adds "<field>: <value> is not allowed; must be <allowed>".
  void Require(bool ok, const std::string& field, double value, const std::string& allowed);
  // Takes over the message of a failed status.
  void Take(const Status& status);
  bool ok() const { return mistakes_.empty(); }
  // OK, or kInvalidConfig with all mistakes joined by "; ".
  Status ToStatus() const;

 private:
  std::vector<std::string> mistakes_;
};

}  // namespace trestle
