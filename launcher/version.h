// What this program was built with: `trestle --version`, and what ranks compare at the start, since
// the bits of a run depend on it.
//
// Thread safety: pure functions; may be called before MPI starts.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace trestle {

// Names and values in a fixed order: version, commit, compiler, instruction set, build type,
// libraries, in the versions that are loaded. The commit is the one that the build was configured
// at.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> VersionFacts();

// The same but for the commit and CUDA, in one line: "version 0.1.0, compiler GNU 12.2.0, ...".
[[nodiscard]] std::string BuildFacts();

// "trestle 0.1.0" and one line a fact.
[[nodiscard]] std::string VersionText();

}  // namespace trestle
