// A folder of a test's own, gone with everything in it when the object is.
//
// Thread safety: const methods from any thread. Errors: CHECKs that the system gives a folder.
#pragma once

#include <glog/logging.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>

namespace trestle {

class TempDir {
 public:
  // `name` only helps to recognize what a killed test left behind.
  explicit TempDir(std::string_view name = "test") {
    path_ = (std::filesystem::temp_directory_path() / ("trestle_" + std::string(name) + "_XXXXXX"))
                .string();
    PCHECK(::mkdtemp(path_.data()) != nullptr) << path_;
  }
  ~TempDir() {
    std::error_code ignored;  // a leftover folder must not fail a test that passed
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  // The path of `name` inside.
  std::string Join(std::string_view name) const { return path_ + "/" + std::string(name); }
  // Writes a whole file, making folders on the way; returns its path.
  std::string Write(std::string_view name, std::string_view text) const {
    const std::filesystem::path file = Join(name);
    std::filesystem::create_directories(file.parent_path());
    std::ofstream out(file, std::ios::binary);
    out.write(text.data(), static_cast<std::streamsize>(text.size()));
    out.close();
    CHECK(out.good()) << "cannot write " << file;
    return file.string();
  }

 private:
  std::string path_;
};

}  // namespace trestle
