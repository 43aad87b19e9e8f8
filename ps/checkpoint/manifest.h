// MANIFEST.json: what makes a folder a checkpoint. It is written last and atomically, and ends with
// a checksum of its own text, so that one cut or changed anywhere is noticed, also where it would
// still be good JSON.
//
// Thread safety: pure functions of the filesystem. Collective: none.
// Errors: kIoError; kNotFound if there is no manifest; kCorrupt with file, expected, found.
#pragma once

#include <string>

#include "base/filesystem.h"
#include "base/status.h"
#include "ps/checkpoint/manifest.pb.h"

namespace trestle {

inline constexpr int kCheckpointFormat = 1;
inline constexpr char kManifestName[] = "MANIFEST.json";

// The JSON text with its seal; the same bytes for the same message.
std::string ManifestText(const Manifest& manifest);
// `path` is for messages.
Result<Manifest> ParseManifest(const std::string& path, const std::string& text);

Status WriteManifest(FileSystem& fs, const std::string& folder, const Manifest& manifest);
// Also kCorrupt if manifest.name is not the folder's.
Result<Manifest> ReadManifest(FileSystem& fs, const std::string& folder);

// XXH3-128 of the folder's manifest as it is on disk: Manifest::base_xxh3_128 of deltas on it.
Result<std::string> ManifestHash(FileSystem& fs, const std::string& folder);

// The manifest's table of that name, null if it has none.
const TableEntry* FindTable(const Manifest& manifest, const std::string& name);

// The digest of a whole model from its parts: 16 hex digits. Tables in the order of the manifest.
std::string ModelDigest(const Manifest& manifest);

}  // namespace trestle
