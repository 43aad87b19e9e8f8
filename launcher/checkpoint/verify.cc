// `trestle checkpoint verify` and `digest`: reads every byte of a checkpoint and of its base.
#include "launcher/checkpoint/commands.h"
#include "launcher/checkpoint/facts.h"
#include "launcher/checkpoint/find.h"
#include "launcher/checkpoint/text.h"
#include "ps/checkpoint/checkpoint_folder.h"
#include "ps/checkpoint/manifest.h"

namespace trestle {
namespace {

// Of one manifest and the files it lists.
void Count(const Manifest& manifest, int64_t* files, int64_t* bytes) {
  *files += 1 + manifest.files_size();
  *bytes += static_cast<int64_t>(ManifestText(manifest).size()) + BytesOf(manifest);
}

// "ok: 5 files, 1.2 MB, 345 rows"
Result<std::string> Verify(FileSystem& fs, const std::string& path) {
  TRESTLE_ASSIGN_OR_RETURN(const auto reader, CheckpointReader::Open(fs, path));
  const Status verified = reader->Verify();
  TRESTLE_RETURN_IF_ERROR(reader->base() ? verified.Wrap("delta " + path) : verified);
  int64_t files = 0, bytes = 0;
  Count(reader->manifest(), &files, &bytes);
  if (reader->base()) Count(*reader->base(), &files, &bytes);
  return "ok: " + CountText(files, "file") + ", " + BytesText(bytes) + ", " +
         CountText(RowsOf(reader->manifest()), "row");
}

Status VerifyAll(FileSystem& fs, const std::string& path, std::ostream& out) {
  TRESTLE_ASSIGN_OR_RETURN(const std::string folder, CheckpointsFolder(fs, path));
  TRESTLE_ASSIGN_OR_RETURN(const auto all, ListCheckpoints(fs, folder));
  Status first_error;
  std::string errors;
  for (const FoundCheckpoint& one : all) {
    const std::string name = one.name.ToString();
    if (!one.complete) {
      out << name << ": incomplete, not verified\n";
      continue;
    }
    const Result<std::string> verified = Verify(fs, one.path);
    out << name << ": " << (verified.ok() ? *verified : "bad") << "\n" << std::flush;
    if (verified.ok()) continue;
    if (first_error.ok()) first_error = verified.status();
    errors += verified.status().ToString() + "\n";
  }
  if (!first_error.ok()) return {first_error.code(), errors};
  if (all.empty()) out << "no checkpoints in " << folder << "\n";
  return {};
}

}  // namespace

Status VerifyCommand(FileSystem& fs, const std::string& path, bool all, std::ostream& out) {
  if (all) return VerifyAll(fs, path, out);
  TRESTLE_ASSIGN_OR_RETURN(const std::string found, FindCheckpoint(fs, path));
  TRESTLE_ASSIGN_OR_RETURN(const std::string text, Verify(fs, found));
  out << found << ": " << text << "\n";
  return {};
}

Status DigestCommand(FileSystem& fs, const std::string& path, std::ostream& out) {
  TRESTLE_ASSIGN_OR_RETURN(const auto reader, OpenCheckpoint(fs, path));
  TRESTLE_RETURN_IF_ERROR(reader->Verify());
  out << reader->manifest().digest() << "\n";
  return {};
}

}  // namespace trestle
