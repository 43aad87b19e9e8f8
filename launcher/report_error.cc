#include "launcher/report_error.h"

#include <glog/logging.h>

#include <string_view>

namespace trestle {

std::string ErrorText(const Status& status) {
  const std::string whole = status.ToString();
  const std::string& root = status.root_message();
  const std::string context = whole.substr(0, whole.size() - root.size());
  std::string text;
  for (size_t begin = 0; begin <= root.size();) {
    const size_t end = std::min(root.find('\n', begin), root.size());
    if (end > begin || root.empty()) {
      text += "trestle: error: " + context + root.substr(begin, end - begin) + "\n";
    }
    begin = end + 1;
  }
  return text;
}

void ReportError(const Status& status, std::ostream& out) {
  CHECK(!status.ok()) << "nothing to report";
  out << ErrorText(status) << std::flush;
}

}  // namespace trestle
