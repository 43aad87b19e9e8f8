#include "launcher/prepare/sql_steps.h"

#include <glog/logging.h>

namespace trestle {
namespace {

constexpr std::string_view kStep = "\n-- STEP ";

}  // namespace

std::string SqlText(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') quoted += '\'';
    quoted += c;
  }
  return quoted + "'";
}

SqlSteps::SqlSteps(std::string_view sql) {
  size_t begin = sql.find(kStep);
  shared_ = sql.substr(0, begin);
  while (begin != std::string_view::npos) {
    const size_t end = sql.find(kStep, begin + 1);
    const std::string_view step = sql.substr(begin, end - begin);
    const std::string_view title = step.substr(kStep.size());
    steps_[std::string(title.substr(0, title.find(':')))] = step;
    begin = end;
  }
}

std::string SqlSteps::Script(const std::string& step, const Values& settings,
                             const Values& variables) const {
  const auto found = steps_.find(step);
  CHECK(found != steps_.end()) << step;
  std::string script;
  for (const auto& [name, value] : settings) script += "SET " + name + " = " + value + ";\n";
  for (const auto& [name, value] : variables) {
    script += "SET VARIABLE " + name + " = " + value + ";\n";
  }
  return script.append(shared_).append(found->second);
}

}  // namespace trestle
