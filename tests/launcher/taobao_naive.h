// Alibaba's files read and joined in the obvious way, all in memory: what the tests of synth and
// prepare compare with.
//
// Thread safety: one thread. Errors: EXPECTs in the tests that use it; a cell that is no number
// throws.
#pragma once

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

namespace trestle {

inline std::vector<std::vector<std::string>> ReadCsv(const std::string& path) {
  std::ifstream in(path);
  std::vector<std::vector<std::string>> rows;
  std::string line;
  std::getline(in, line);  // the header
  while (std::getline(in, line)) {
    rows.emplace_back();
    std::istringstream cells(line + ",");  // so that an empty last cell counts
    for (std::string cell; std::getline(cells, cell, ',');) rows.back().push_back(cell);
  }
  return rows;
}

inline int64_t NumberOr(const std::string& cell, int64_t missing = -1) {
  return cell.empty() || cell == "NULL" ? missing : std::stoll(cell);
}

// Time, category, brand, kind.
using NaiveBehaviour = std::tuple<int64_t, int64_t, int64_t, int64_t>;

// By user, in order, those without a time left out.
inline std::map<int64_t, std::vector<NaiveBehaviour>> NaiveBehaviours(const std::string& folder) {
  static const std::map<std::string, int64_t> kinds = {
      {"buy", 1}, {"cart", 2}, {"fav", 3}, {"pv", 4}, {"ipv", 4}};
  std::map<int64_t, std::vector<NaiveBehaviour>> of_user;
  for (const auto& cell : ReadCsv(folder + "/behavior_log.csv")) {
    if (std::stoll(cell[1]) <= 0) continue;
    of_user[std::stoll(cell[0])].emplace_back(std::stoll(cell[1]), NumberOr(cell[3]),
                                              NumberOr(cell[4]),
                                              kinds.contains(cell[2]) ? kinds.at(cell[2]) : 0);
  }
  for (auto& [user, all] : of_user) std::sort(all.begin(), all.end());
  return of_user;
}

// The last 50 of them strictly before `time`.
inline std::vector<NaiveBehaviour> NaiveHistory(const std::vector<NaiveBehaviour>& all,
                                                int64_t time) {
  std::vector<NaiveBehaviour> before;
  for (const NaiveBehaviour& one : all) {
    if (std::get<0>(one) < time) before.push_back(one);
  }
  if (before.size() > 50) before.erase(before.begin(), before.end() - 50);
  return before;
}

// The three lists of a prepared row as text: "[1 2 ],[3 4 ],[4 4 ]".
inline std::string NaiveLists(const std::vector<NaiveBehaviour>& history) {
  std::ostringstream lists[3];
  for (const auto& [time, category, brand, kind] : history) {
    lists[0] << category << ' ';
    lists[1] << brand << ' ';
    lists[2] << kind << ' ';
  }
  std::ostringstream text;
  text << '[' << lists[0].str() << "],[" << lists[1].str() << "],[" << lists[2].str() << ']';
  return text.str();
}

// The rows that prepare should make of a folder, in no order.
inline std::vector<std::string> NaiveRows(const std::string& folder) {
  std::map<int64_t, std::vector<std::string>> ads, profiles;
  for (const auto& cell : ReadCsv(folder + "/ad_feature.csv")) ads[std::stoll(cell[0])] = cell;
  for (const auto& cell : ReadCsv(folder + "/user_profile.csv")) {
    profiles[std::stoll(cell[0])] = cell;
  }
  const auto behaviours = NaiveBehaviours(folder);
  std::vector<std::string> rows;
  for (const auto& cell : ReadCsv(folder + "/raw_sample.csv")) {
    const int64_t user = std::stoll(cell[0]), time = std::stoll(cell[1]), ad = std::stoll(cell[2]);
    const auto found_ad = ads.find(ad), found_profile = profiles.find(user);
    std::ostringstream row;
    row << cell[5] << ',' << user << ',' << ad << ',' << (cell[3].empty() ? "?" : cell[3]) << ','
        << time;
    for (size_t i = 1; i <= 4; ++i) {
      row << ',' << (found_ad == ads.end() ? -1 : NumberOr(found_ad->second[i]));
    }
    row << ',' << std::to_string(found_ad == ads.end() ? -1.0f : std::stof(found_ad->second[5]));
    for (size_t i = 1; i <= 8; ++i) {
      row << ',' << (found_profile == profiles.end() ? -1 : NumberOr(found_profile->second[i]));
    }
    const auto found = behaviours.find(user);
    row << ','
        << NaiveLists(found == behaviours.end() ? std::vector<NaiveBehaviour>()
                                                : NaiveHistory(found->second, time));
    rows.push_back(row.str());
  }
  return rows;
}

}  // namespace trestle
