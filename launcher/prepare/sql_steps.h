// The SQL of a preparation (prepare/*.sql): what all steps share, then steps that begin with a line
// "-- STEP name: what it does". A script is what DuckDB is given for one step: settings, variables,
// the shared part, the step.
//
// Thread safety: immutable after construction. Errors: CHECKs, the SQL is our own.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace trestle {

// prepare/taobao.sql, which is built into the program.
std::string_view TaobaoSql();

// A literal of SQL.
std::string SqlText(std::string_view text);

class SqlSteps {
 public:
  explicit SqlSteps(std::string_view sql);

  // `settings` and `variables` by name, their values as SQL literals.
  using Values = std::map<std::string, std::string>;
  [[nodiscard]] std::string Script(const std::string& step, const Values& settings,
                                   const Values& variables) const;

 private:
  std::string_view shared_;
  std::map<std::string, std::string_view, std::less<>> steps_;
};

}  // namespace trestle
