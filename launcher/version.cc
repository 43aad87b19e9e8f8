#include "launcher/version.h"

#include <arrow/config.h>
#include <dnnl.h>
#include <google/protobuf/stubs/common.h>
#include <libxsmm_version.h>
#include <mpi.h>
#include <unistd.h>

#include <array>

#include "base/plugin.h"

namespace trestle {
namespace {

std::string OpenMpi() {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
  int length = 0;
  MPI_Get_library_version(text.data(), &length);
  const std::string all(text.data(), length);
  return all.substr(0, all.find(','));  // "Open MPI v4.1.4, package: ..."
}

std::string OneDnn() {
  const dnnl_version_t* v = dnnl_version();
  return std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch);
}

std::string Glibc() {
  std::array<char, 64> text{};
  confstr(_CS_GNU_LIBC_VERSION, text.data(), text.size());
  const std::string all = text.data();  // "glibc 2.36"
  return all.substr(all.find(' ') + 1);
}

}  // namespace

std::vector<std::pair<std::string, std::string>> VersionFacts() {
  std::string build_type = TRESTLE_BUILD_TYPE;
  if (const std::string sanitizers = TRESTLE_BUILD_SANITIZE; !sanitizers.empty()) {
    build_type.append(", sanitizers ").append(sanitizers);
  }
  return {
      {"version", TRESTLE_VERSION},
      {"commit", TRESTLE_COMMIT},
      {"compiler", TRESTLE_COMPILER},
      {"instruction set", TRESTLE_BUILD_MARCH},
      {"build type", build_type},
      {"MPI", OpenMpi()},
      {"Arrow", arrow::GetBuildInfo().version_string},
      {"oneDNN", OneDnn()},
      {"LIBXSMM", LIBXSMM_CONFIG_VERSION},  // linked statically
      {"glibc", Glibc()},                   // exp and log are its
      {"protobuf", google::protobuf::internal::VersionString(GOOGLE_PROTOBUF_VERSION)},
      {"CUDA", BuiltWithCuda().empty() ? "not built in" : BuiltWithCuda() + ", as a plugin"},
  };
}

std::string BuildFacts() {
  std::string text;
  for (const auto& [name, value] : VersionFacts()) {
    // Of the last configuration; and a plugin that may not be loaded: no bits depend on them.
    if (name == "commit" || name == "CUDA") continue;
    text.append(text.empty() ? "" : ", ").append(name).append(" ").append(value);
  }
  return text;
}

std::string VersionText() {
  std::string text;
  for (const auto& [name, value] : VersionFacts()) {
    if (name == "version") {
      text += "trestle " + value + "\n";
    } else {
      text +=
          "  " + name + std::string(name.size() < 16 ? 16 - name.size() : 1, ' ') + value + "\n";
    }
  }
  return text;
}

}  // namespace trestle
