// The config that `trestle init` writes: protobuf text with what was seen beside each line.
//
// Thread safety: pure function.
#pragma once

#include <string>
#include <vector>

#include "launcher/init/guess.h"

namespace trestle {

struct ConfigFiles {
  std::vector<std::string> patterns;
  const Sample* sample = nullptr;   // of the first
  const Source* source = nullptr;   // likewise
  const TextFiles* text = nullptr;  // as the command line had it
  std::string path;                 // of the config
};

std::string ConfigText(const GuessedConfig& guessed, const ConfigFiles& files);

// The columns as a table for the terminal.
std::string GuessTable(const GuessedConfig& guessed);

}  // namespace trestle
