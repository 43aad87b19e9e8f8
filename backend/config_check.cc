#include "backend/config_check.h"

#include <sstream>

namespace trestle {

void ConfigCheck::Require(bool ok, const std::string& field, double value,
                          const std::string& allowed) {
  if (ok) return;
  std::ostringstream text;
  text << field << ": " << value << " is not allowed; must be " << allowed;
  Add(text.str());
}

void ConfigCheck::Take(const Status& status) {
  if (!status.ok()) Add(status.ToString());
}

Status ConfigCheck::ToStatus() const {
  if (ok()) return Ok();
  std::string all;
  for (const std::string& mistake : mistakes_) all += (all.empty() ? "" : "; ") + mistake;
  return Status(StatusCode::kInvalidConfig, all);
}

}  // namespace trestle
