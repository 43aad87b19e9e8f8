#include "launcher/startup.h"

#include <sched.h>

#include <algorithm>

#include "backend/bridge.h"

namespace trestle {
namespace {

constexpr Operation kFacts{Stream::kControl, "comparing ranks"};

// One fact a line: name, tab, value.
std::string Encode(const Facts& facts) {
  std::string text;
  for (const auto& [name, value] : facts) {
    text += name + '\t';
    for (const char c : value) text += c == '\n' ? ' ' : c;
    text += '\n';
  }
  return text;
}

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

std::string Value(const std::string& line) { return line.substr(line.find('\t') + 1); }

// Every rank computed the same failure; rank 0 is the one to print it.
Status SaidByRank0(const Communicator& comm, const std::string& text) {
  const Status status(StatusCode::kMismatch, text);
  return comm.rank() == Rank{0} ? status : Status::Parse(status.Serialize());
}

}  // namespace

Status AgreeOnFacts(Communicator& comm, const Facts& facts) {
  TRESTLE_ASSIGN_OR_RETURN(const auto all, comm.AllGather(kFacts, Encode(facts)));
  std::vector<std::vector<std::string>> lines;
  for (const std::string& text : all) lines.push_back(Lines(text));
  std::string differences;
  for (int r = 1; r < comm.size(); ++r) {
    if (lines[r].size() == lines[0].size()) continue;
    return SaidByRank0(comm,
                       "ranks 0 and " + std::to_string(r) +
                           " compare different things; start all ranks with the same program");
  }
  for (size_t i = 0; i < facts.size(); ++i) {
    int known = -1;  // the first rank that has a value
    for (int r = 0; r < comm.size(); ++r) {
      if (Value(lines[r][i]).empty()) continue;
      if (known < 0) known = r;
      if (lines[r][i] == lines[known][i]) continue;
      if (!differences.empty()) differences += "; ";
      differences += facts[i].first + ": rank " + std::to_string(known) + " has " +
                     Value(lines[known][i]) + ", rank " + std::to_string(r) + " has " +
                     Value(lines[r][i]);
    }
  }
  if (differences.empty()) return {};
  return SaidByRank0(comm, "the ranks differ in " + differences);
}

Result<std::string> AgreeOnInstructionSet(Communicator& comm) {
  TRESTLE_ASSIGN_OR_RETURN(const auto all, comm.AllGather(kFacts, NativeInstructionSet()));
  const std::string lowest = *std::min_element(all.begin(), all.end());  // "avx2" < "avx512"
  TRESTLE_RETURN_IF_ERROR(AgreeOnStatus(comm, kFacts, PinInstructionSet(lowest)));
  return lowest;
}

Result<std::vector<std::string>> GatherHosts(Communicator& comm) {
  return comm.AllGather(kFacts, comm.host());
}

Result<std::vector<std::string>> GatherCores(Communicator& comm) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  std::string cores = "1";  // where the system does not say (or has more than 1,024 cores): one
  if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0) {
    cores.clear();
    for (int core = 0; core < CPU_SETSIZE; ++core) cores += CPU_ISSET(core, &allowed) ? '1' : '0';
  }
  return comm.AllGather(kFacts, cores);
}

int DefaultThreads(const std::vector<std::string>& hosts, const std::vector<std::string>& cores,
                   Rank rank) {
  const auto me = static_cast<size_t>(rank.value);
  const auto shares_a_core = [&](size_t r) {
    const size_t known = std::min(cores[r].size(), cores[me].size());
    for (size_t core = 0; core < known; ++core) {
      if (cores[r][core] == '1' && cores[me][core] == '1') return true;
    }
    return false;
  };
  int64_t neighbours = 0;  // itself included
  for (size_t r = 0; r < hosts.size(); ++r) {
    neighbours += hosts[r] == hosts[me] && shares_a_core(r);
  }
  const int64_t own = std::count(cores[me].begin(), cores[me].end(), '1');
  return static_cast<int>(std::max<int64_t>(own / std::max<int64_t>(neighbours, 1), 1));
}

}  // namespace trestle
