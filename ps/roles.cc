// Dedicated servers are dealt to the hosts in turn, so that their network links share the load; on
// a host they are its first ranks.
#include <algorithm>
#include <map>
#include <string>

#include "ps/node.h"

namespace trestle {

Result<Roles> AssignRoles(int servers, const std::vector<std::string>& hosts) {
  const int ranks = static_cast<int>(hosts.size());
  if (servers < 0 || (servers > 0 && servers >= ranks)) {
    return Status(StatusCode::kInvalidConfig,
                  "cluster.servers is " + std::to_string(servers) + " but there are " +
                      std::to_string(ranks) +
                      " ranks; allowed are 0 (every rank serves and works) to " +
                      std::to_string(std::max(0, ranks - 1)) + ", so that a worker is left");
  }
  Roles roles;
  if (servers == 0) {
    for (int r = 0; r < ranks; ++r) roles.workers.push_back(Rank{r});
    roles.servers = roles.workers;
    return roles;
  }
  // How many ranks of the rank's host come before it: all first ones serve before any second one.
  std::map<std::string, int> seen;
  std::vector<std::pair<int, int>> order;  // (turn, rank)
  for (int r = 0; r < ranks; ++r) order.emplace_back(seen[hosts[static_cast<size_t>(r)]]++, r);
  std::sort(order.begin(), order.end());
  for (size_t i = 0; i < order.size(); ++i) {
    (i < static_cast<size_t>(servers) ? roles.servers : roles.workers)
        .push_back(Rank{order[i].second});
  }
  std::sort(roles.servers.begin(), roles.servers.end());
  std::sort(roles.workers.begin(), roles.workers.end());
  return roles;
}

}  // namespace trestle
