#include "launcher/doctor_cluster.h"

#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "launcher/doctor_disk.h"
#include "launcher/format.h"

namespace trestle {
namespace {

// Hosts may examine their disks at different speeds.
constexpr Operation kDoctor{Stream::kControl, "examining hosts", -1, kLongPhase};

struct Hosts {
  std::vector<std::string> names;    // of each rank
  std::map<std::string, int> ranks;  // on each host
  bool first_of_host = false;        // whether this rank speaks for its host
};

Result<Hosts> FindHosts(Communicator& comm, const Machine& machine) {
  Hosts hosts;
  TRESTLE_ASSIGN_OR_RETURN(hosts.names, comm.AllGather(kDoctor, machine.host));
  for (const std::string& name : hosts.names) ++hosts.ranks[name];
  const auto first = std::find(hosts.names.begin(), hosts.names.end(), machine.host);
  hosts.first_of_host = first - hosts.names.begin() == comm.rank().value;
  return hosts;
}

// Of the hosts where `is` holds, by rank; the ranks that do not speak for a host are passed over.
std::string HostsWhere(const Hosts& hosts, const std::vector<char>& is) {
  std::string text;
  std::map<std::string, bool> seen;
  for (size_t r = 0; r < is.size(); ++r) {
    if (!seen.emplace(hosts.names[r], true).second || !is[r]) continue;
    text += (text.empty() ? "" : ", ") + hosts.names[r];
  }
  return text;
}

Finding Ranks(const Hosts& hosts) {
  std::string found = std::to_string(hosts.names.size());
  found += hosts.ranks.size() == 1 ? " on 1 host:" : Format(" on %zu hosts:", hosts.ranks.size());
  for (const auto& [name, count] : hosts.ranks) found += " " + name + ":" + std::to_string(count);
  return {"ranks", Verdict::kOk, found, ""};
}

std::string Pack(const std::vector<Finding>& findings) {
  nlohmann::json all = nlohmann::json::array();
  for (const Finding& f : findings) {
    if (f.verdict == Verdict::kOk) continue;
    all.push_back({f.subject, static_cast<int>(f.verdict), f.found, f.advice});
  }
  return all.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// What is not ok on each host, the hosts in the order of their ranks.
Result<std::vector<Finding>> FindingsOfHosts(Communicator& comm, const Machine& machine,
                                             const std::string& folder, const Hosts& hosts) {
  const std::string mine = hosts.first_of_host ? Pack(Examine(machine, folder)) : "[]";
  TRESTLE_ASSIGN_OR_RETURN(const auto all, comm.AllGather(kDoctor, mine));
  std::vector<Finding> findings;
  for (size_t r = 0; r < all.size(); ++r) {
    for (const auto& f : nlohmann::json::parse(all[r])) {
      findings.push_back({hosts.names[r] + ": " + f[0].get<std::string>(),
                          static_cast<Verdict>(f[1].get<int>()), f[2], f[3]});
    }
  }
  return findings;
}

struct Sight {
  char missing = 0;  // the probe is not there
  char locked = 0;   // although another rank holds the lock, this one got it
};

Sight LookForProbe(const Machine& machine, const std::string& probe) {
  if (!machine.files->Exists(probe)) return {1, 0};
  const auto lock = machine.files->TryLock(probe);
  return {0, static_cast<char>(lock.ok() && *lock != nullptr)};
}

Finding SharedFolder(const Hosts& hosts, const std::string& folder,
                     const std::vector<Sight>& sights) {
  const std::string subject = "shared folder " + folder;
  std::vector<char> missing, locked;
  for (const Sight& sight : sights) {
    missing.push_back(sight.missing);
    locked.push_back(sight.locked);
  }
  if (const std::string names = HostsWhere(hosts, missing); !names.empty()) {
    return {subject, Verdict::kProblem, "not seen by " + names,
            "checkpoints need one folder that all hosts see; set checkpoint.dir or "
            "checkpoint.store"};
  }
  if (const std::string names = HostsWhere(hosts, locked); !names.empty()) {
    return {subject, Verdict::kNote, "seen by all hosts, locks do not reach " + names,
            "two trainings in one run folder on different hosts are not noticed there"};
  }
  return {subject, Verdict::kOk, "seen by all hosts, locks as well", ""};
}

Result<Finding> ShareFolder(Communicator& comm, const Machine& machine, const Hosts& hosts,
                            const std::string& folder) {
  const bool leads = comm.rank().value == 0;
  TRESTLE_ASSIGN_OR_RETURN(
      const auto texts,
      comm.AllGather(kDoctor, leads ? ExistingFolder(machine, folder) : std::string()));
  const std::string probe = texts.front() + "/.trestle_doctor_shared";
  Status written;
  std::unique_ptr<FileLock> lock;
  if (leads) {
    written = WriteFileAtomically(*machine.files, probe, machine.host + "\n");
    if (auto taken = machine.files->TryLock(probe); written.ok() && taken.ok()) {
      lock = *std::move(taken);
    }
  }
  TRESTLE_ASSIGN_OR_RETURN(const auto reasons,
                           comm.AllGather(kDoctor, written.ok() ? "" : written.ToString()));
  if (!reasons.front().empty()) {
    return Finding{"shared folder " + texts.front(), Verdict::kProblem, reasons.front(),
                   "runs write here; choose another folder"};
  }
  const Sight sight = leads ? Sight() : LookForProbe(machine, probe);
  TRESTLE_ASSIGN_OR_RETURN(const auto sights, AllGatherValue(comm, kDoctor, sight));
  Finding finding = SharedFolder(hosts, texts.front(), sights);
  if (leads) {
    if (const Status removed = machine.files->Remove(probe); !removed.ok()) {
      finding = {finding.subject, Verdict::kProblem, removed.ToString(), "remove it by hand"};
    }
  }
  return finding;
}

// The least spread of a few looks: ranks do not leave a barrier at the same moment.
Result<Finding> Clocks(Communicator& comm, const Machine& machine) {
  int64_t spread = std::numeric_limits<int64_t>::max();
  for (int look = 0; look < 5; ++look) {
    TRESTLE_RETURN_IF_ERROR(comm.Barrier(kDoctor));
    TRESTLE_ASSIGN_OR_RETURN(const auto times, AllGatherValue(comm, kDoctor, machine.wall_ms()));
    const auto [least, most] = std::minmax_element(times.begin(), times.end());
    spread = std::min(spread, *most - *least);
  }
  const std::string found = Format("at most %.3f s apart", static_cast<double>(spread) / 1000);
  if (spread < 1000) return Finding{"clocks of the hosts", Verdict::kOk, found, ""};
  return Finding{"clocks of the hosts", Verdict::kNote, found,
                 "training does not depend on it, but logs and the times of files cannot be "
                 "compared; run a time server (chrony)"};
}

}  // namespace

Result<std::vector<Finding>> ExamineCluster(Communicator& comm, const Machine& machine,
                                            const std::string& folder) {
  TRESTLE_ASSIGN_OR_RETURN(const Hosts hosts, FindHosts(comm, machine));
  std::vector<Finding> findings = {Ranks(hosts)};
  TRESTLE_ASSIGN_OR_RETURN(const auto own, FindingsOfHosts(comm, machine, folder, hosts));
  findings.insert(findings.end(), own.begin(), own.end());
  TRESTLE_ASSIGN_OR_RETURN(Finding shared, ShareFolder(comm, machine, hosts, folder));
  findings.push_back(std::move(shared));
  TRESTLE_ASSIGN_OR_RETURN(Finding clocks, Clocks(comm, machine));
  findings.push_back(std::move(clocks));
  return findings;
}

}  // namespace trestle
