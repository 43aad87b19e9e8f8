// The rules of docs/architecture.md about who may include what, as a pure function of one line of
// one file, so that the rules have tests of their own beside the run over the whole tree.
//
// Thread safety: pure functions. Errors: none; an offence is the value returned.
#pragma once

#include <map>
#include <optional>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace trestle {

// The rooms each room may include from: base <- {comm, embedding, backend} <- {ps <- worker <-
// launcher, cuda}.
inline const std::map<std::string, std::set<std::string>>& AllowedRooms() {
  static const std::map<std::string, std::set<std::string>> allowed = {
      {"base", {"base"}},
      {"comm", {"base", "comm"}},
      {"embedding", {"base", "embedding"}},
      {"backend", {"base", "backend"}},
      {"cuda", {"base", "comm", "embedding", "backend", "cuda"}},  // the plugin: nobody includes it
      {"ps", {"base", "comm", "embedding", "backend", "ps"}},
      {"worker", {"base", "comm", "embedding", "backend", "ps", "worker"}},
      {"launcher", {"base", "comm", "embedding", "backend", "ps", "worker", "launcher"}}};
  return allowed;
}

// A library, how its headers are spelled, and the sources that may include them.
struct LibraryRule {
  std::string library;
  std::regex header;
  std::regex allowed_in;  // the whole path must match
  std::string where;      // the same in words
};

inline const std::vector<LibraryRule>& LibraryRules() {
  // The sources of `trestle --version` and `doctor` ask every library for its version.
  static const std::string facts = "|launcher/(version|doctor)[a-z_]*\\.cc";
  static const std::vector<LibraryRule> rules = {
      {"MPI", std::regex("mpi(-ext)?\\.h"), std::regex("comm/([a-z_/]*_)?mpi[a-z_]*\\.cc" + facts),
       "comm/*mpi*.cc and launcher/version*.cc, doctor*.cc"},
      {"Arrow's forward declarations", std::regex("arrow/type_fwd\\.h"),
       std::regex("worker/[a-z_/]+\\.(h|cc)"), "worker"},
      {"Arrow", std::regex("(arrow|parquet)/(?!type_fwd\\.h).*"),
       std::regex("(worker|ps/checkpoint)/[a-z_/]+\\.cc|"
                  "launcher/(synth|checkpoint/export)[a-z_/]*\\.cc" +
                  facts),
       "worker/*.cc, ps/checkpoint/*.cc, launcher/synth*.cc, launcher/checkpoint/export*.cc, "
       "version*.cc and doctor*.cc"},
      {"oneDNN", std::regex("(oneapi/)?dnnl.*"), std::regex("backend/[a-z_/]+\\.cc" + facts),
       "backend/*.cc and launcher/version*.cc, doctor*.cc"},
      {"LIBXSMM", std::regex("libxsmm.*"), std::regex("backend/[a-z_/]+\\.cc" + facts),
       "backend/*.cc and launcher/version*.cc, doctor*.cc"},
      {"xxHash", std::regex("xxhash\\.h|xxh3\\.h"), std::regex("base/hash\\.cc"), "base/hash.cc"},
      {"DLPack", std::regex("dlpack/.*"), std::regex("backend/dlpack\\.(cc|h)"),
       "backend/dlpack.cc, .h"},
      {"nlohmann/json", std::regex("nlohmann/.*"),
       std::regex("(worker|launcher|ps/checkpoint)/[a-z_/]+\\.cc"),
       "worker/*.cc, launcher/*.cc and ps/checkpoint/*.cc"},
      {"CLI11", std::regex("CLI/.*"), std::regex("launcher/[a-z_]+\\.cc"), "one launcher/*.cc"},
      {"OpenMP", std::regex("omp\\.h"), std::regex("nowhere"),
       "no source: base/thread_pool.h sets its count"},
      {"CUDA", std::regex("cuda.*|cub/.*|cooperative_groups.*|nccl.*|cudnn.*|cublas.*"),
       std::regex("[a-z_/]+_(cuda|nccl)\\.(cc|cu)"), "*_cuda.cc, *_cuda.cu, *_nccl.cc"},
      {"LibTorch", std::regex("torch/.*|ATen/.*"), std::regex("backend/[a-z_/]*torch[a-z_]*\\.cc"),
       "backend/*torch*.cc"},
      {"GoogleTest", std::regex("g(test|mock)/.*"), std::regex("tests/.*"), "tests/"}};
  return rules;
}

inline std::string RoomOf(const std::string& path) { return path.substr(0, path.find('/')); }

// What `#include <header>` in `path` breaks, if anything.
inline std::optional<std::string> CheckSystemInclude(const std::string& path,
                                                     const std::string& header) {
  for (const LibraryRule& rule : LibraryRules()) {
    if (!std::regex_match(header, rule.header)) continue;
    if (std::regex_match(path, rule.allowed_in)) return std::nullopt;
    return "includes <" + header + ">: " + rule.library + " is allowed only in " + rule.where;
  }
  // Headers in folders are libraries, but for those that every room may use.
  static const std::regex open("[^/]*|sys/.*|netinet/.*|arpa/.*|glog/.*|google/protobuf/.*");
  if (std::regex_match(header, open)) return std::nullopt;
  return "includes <" + header + ">: a library without a rule in tests/structure/include_rules.h";
}

// What `#include "header"` in `path` breaks, if anything. Paths and headers are relative to the
// root.
inline std::optional<std::string> CheckOwnInclude(const std::string& path,
                                                  const std::string& header) {
  const std::string room = RoomOf(path), from = RoomOf(header);
  if (header.find('/') == std::string::npos || !AllowedRooms().contains(from)) {
    return "includes \"" + header +
           "\": write the path from the repository's root, starting with a room";
  }
  if (!AllowedRooms().at(room).contains(from)) {
    return "includes \"" + header + "\": " + room + " may not depend on " + from +
           " (base <- {comm, embedding, backend} <- ps <- worker <- launcher)";
  }
  static const std::regex client("ps/client\\.h|ps/[a-z_]+\\.pb\\.h");
  if (room == "worker" && from == "ps" && !std::regex_match(header, client)) {
    return "includes \"" + header + "\": worker sees ps only through ps/client.h and its messages";
  }
  return std::nullopt;
}

// What one line of a room's source, header or .proto breaks, if anything.
inline std::optional<std::string> CheckLine(const std::string& path, const std::string& line) {
  static const std::regex include("\\s*#\\s*include\\s*([<\"])([^>\"]+)[>\"].*");
  static const std::regex import("\\s*import\\s+(public\\s+)?\"([^\"]+)\".*");
  std::smatch match;
  if (path.ends_with(".proto")) {
    if (!std::regex_match(line, match, import) || match[2].str().starts_with("google/protobuf/"))
      return {};
    return CheckOwnInclude(path, match[2]);
  }
  if (!std::regex_match(line, match, include)) return {};
  return match[1] == "<" ? CheckSystemInclude(path, match[2]) : CheckOwnInclude(path, match[2]);
}

}  // namespace trestle
