#include "ps/checkpoint/manifest.h"

#include <glog/logging.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "base/atomic_file.h"
#include "base/hash.h"
#include "base/sealed_json.h"
#include "ps/checkpoint/hashed_file.h"

namespace trestle {
namespace {

// Of any version: "format" is its first member in all of them.
Status CheckFormat(const std::string& path, const std::string& json) {
  const auto object = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  const bool has = object.is_object() && object.contains("format");
  const std::string format = has ? object["format"].dump() : "none";
  if (format == std::to_string(kCheckpointFormat)) return {};
  const std::string what =
      "format " + format + ", this program reads format " + std::to_string(kCheckpointFormat);
  if (!has || !object["format"].is_number_integer()) return CorruptFile(path, what);
  // Not damage, for which an older checkpoint would be taken.
  return {StatusCode::kUnsupported, path + ": " + what + "; use the program that wrote it"};
}

// Names that stay inside the checkpoint's folder.
Status CheckFileNames(const std::string& path, const Manifest& manifest) {
  for (const FileEntry& file : manifest.files()) {
    const std::filesystem::path name(file.name());
    bool inside = !file.name().empty() && name.is_relative();
    for (const auto& part : name) inside = inside && part != ".." && part != ".";
    if (!inside) return CorruptFile(path, "\"" + file.name() + "\" is no name of a file");
  }
  return {};
}

std::string NameOf(const std::string& folder) {
  auto path = std::filesystem::absolute(folder).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  return path.filename().string();
}

}  // namespace

std::string ManifestText(const Manifest& manifest) { return SealedJson(manifest); }

Result<Manifest> ParseManifest(const std::string& path, const std::string& text) {
  const std::string json = UnsealedJson(text);
  if (json.empty()) return CorruptFile(path, "its checksum does not fit: cut or changed");
  TRESTLE_RETURN_IF_ERROR(CheckFormat(path, json));
  Manifest manifest;
  const auto status = google::protobuf::util::JsonStringToMessage(json, &manifest);
  if (!status.ok()) return CorruptFile(path, std::string(status.message()));
  TRESTLE_RETURN_IF_ERROR(CheckFileNames(path, manifest));
  return manifest;
}

Status WriteManifest(FileSystem& fs, const std::string& folder, const Manifest& manifest) {
  const std::string path = folder + "/" + kManifestName;
  const std::string text = ManifestText(manifest);
  // What can't be read again must not be found out at the resume: a name that is no UTF-8, say.
  auto read = ParseManifest(path, text);
  if (!read.ok() || ManifestText(*read) != text) {
    return {StatusCode::kInternal, path + ": does not read back as it would be written" +
                                       (read.ok() ? "" : ": " + read.status().ToString())};
  }
  return WriteFileAtomically(fs, path, text);
}

Result<Manifest> ReadManifest(FileSystem& fs, const std::string& folder) {
  const std::string path = folder + "/" + kManifestName;
  const auto text = fs.Read(path);
  if (!text.ok()) return text.status().Wrap("no complete checkpoint in " + folder);
  TRESTLE_ASSIGN_OR_RETURN(Manifest manifest, ParseManifest(path, *text));
  if (const std::string name = NameOf(folder); manifest.name() != name) {
    return CorruptFile(path, "of checkpoint " + manifest.name() + ", but the folder is called " +
                                 name + ": renamed");
  }
  return manifest;
}

Result<std::string> ManifestHash(FileSystem& fs, const std::string& folder) {
  TRESTLE_ASSIGN_OR_RETURN(const std::string text, fs.Read(folder + "/" + kManifestName));
  return Hash128(text);
}

const TableEntry* FindTable(const Manifest& manifest, const std::string& name) {
  const auto it = std::find_if(manifest.tables().begin(), manifest.tables().end(),
                               [&](const TableEntry& table) { return table.name() == name; });
  return it == manifest.tables().end() ? nullptr : &*it;
}

std::string ModelDigest(const Manifest& manifest) {
  std::string parts;
  for (const TableEntry& table : manifest.tables()) {
    parts += table.name() + "=" + Hex(table.digest()) + ";";
  }
  return Hex(Hash64(parts + "dense=" + Hex(manifest.dense_digest())));
}

}  // namespace trestle
