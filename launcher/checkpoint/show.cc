// `trestle checkpoint show`: what a manifest says, for people.
#include "base/hash.h"
#include "launcher/checkpoint/commands.h"
#include "launcher/checkpoint/facts.h"
#include "launcher/checkpoint/find.h"
#include "launcher/checkpoint/text.h"
#include "launcher/evaluation.h"
#include "ps/checkpoint/manifest.h"

namespace trestle {
namespace {

std::string KindLine(const Manifest& m) {
  if (m.base().empty()) return "full";
  return KindText(m) + ": rows touched after step " + CountText(m.base_step());
}

std::string TrainingLine(const Manifest& m) {
  const Cursor& c = m.cursor();
  return std::string("step ") + CountText(c.step()) + "; segment " + std::to_string(c.segment()) +
         ", epoch " + std::to_string(c.epoch()) + " of it, step " + CountText(c.epoch_step()) +
         " of that" + (m.finished() ? "; done" : "");
}

std::string EpochLine(const Cursor& c) {
  return CountText(c.rows_read()) + " read, " + CountText(c.rows_rejected()) + " rejected, " +
         CountText(c.applied_rows()) + " applied, " + CountText(c.positives()) + " positive; " +
         CountText(c.skipped_steps(), "skipped step");
}

std::string RunLine(const RunFacts& r) {
  return CountText(r.workers(), "worker") + ", " + CountText(r.servers(), "server") +
         (r.dedicated() ? " (dedicated)" : "") + ", " + CountText(r.threads(), "thread") + ", " +
         CountText(r.lanes(), "lane") + ", instruction set " + r.instruction_set() + ", device " +
         r.device();
}

int64_t DenseValues(const Manifest& m) {
  int64_t values = 0;
  for (const TensorEntry& tensor : m.dense()) values += int64_t{tensor.rows()} * tensor.cols();
  return values;
}

std::string EvaluationLine(const EvaluationRecord& e) {
  if (e.best_step() == 0) return "none yet";
  return BestText(e) + BestSavedText(e);
}

void PrintFacts(const std::string& path, const Manifest& m, std::ostream& out) {
  out << "checkpoint   " << path << "\n"
      << "written by   " << m.program() << ", attempt " << m.attempt() << ", checkpoint "
      << m.number() << " of the run\n"
      << "kind         " << KindLine(m) << "\n"
      << "digest       " << m.digest() << "\n"
      << "training     " << TrainingLine(m) << "\n"
      << "epoch's rows " << EpochLine(m.cursor()) << "\n"
      << "best         " << EvaluationLine(m.evaluations()) << "\n"
      << "ran on       " << RunLine(m.run()) << "\n"
      << "libraries    " << m.run().libraries() << "\n"
      << "dense        " << CountText(m.dense_size(), "tensor") << ", "
      << CountText(DenseValues(m), "value") << "\n";
  for (const std::string& divergence : m.divergences()) {
    out << "bits diverge " << divergence << "\n";
  }
}

void PrintTables(const Manifest& m, std::ostream& out) {
  TextTable text("lrlrrl", {"TABLE", "DIM", "OPTIMIZER", "STATE", "ROWS", "DIGEST"});
  for (const TableEntry& t : m.tables()) {
    text.Add({t.name(), std::to_string(t.dim()), t.optimizer(), std::to_string(t.state_width()),
              CountText(t.rows()), Hex(t.digest())});
  }
  out << "\ntables\n";
  text.Print(out, "  ");
}

void PrintFiles(const Manifest& m, std::ostream& out) {
  TextTable text("lrrl", {"FILE", "SIZE", "ROWS", "PARTITIONS"});
  for (const FileEntry& f : m.files()) {
    const bool shard = !f.table().empty();
    text.Add({f.name(), BytesText(f.bytes()), shard ? CountText(f.rows()) : "-",
              shard ? std::string("[") + CountText(f.begin_partition()) + ", " +
                          CountText(f.end_partition()) + ")"
                    : "-"});
  }
  out << "\nfiles, " << BytesText(BytesOf(m)) << "\n";
  text.Print(out, "  ");
}

void PrintInputs(const Manifest& m, std::ostream& out) {
  TextTable text("lrl", {"INPUT", "ROWS", "FINGERPRINT"});
  for (const InputFileEntry& f : m.inputs()) {
    text.Add({f.path(), CountText(f.rows()), Hex(f.fingerprint())});
  }
  out << "\ninputs of the segment\n";
  text.Print(out, "  ");
}

void PrintLedger(const Manifest& m, std::ostream& out) {
  out << "\nledger: epochs read to their end, every row once\n";
  if (m.ledger().empty()) {
    out << "  none yet\n";
    return;
  }
  TextTable text("rrrrrl", {"SEGMENT", "EPOCH", "STEPS", "READ", "REJECTED", "HASH"});
  for (const LedgerEntry& e : m.ledger()) {
    text.Add({std::to_string(e.segment()), std::to_string(e.epoch()),
              CountText(e.first_step() + 1) + " to " + CountText(e.last_step()),
              CountText(e.rows_read()), CountText(e.rows_rejected()), Hex(e.hash())});
  }
  text.Print(out, "  ");
}

}  // namespace

Status ShowCommand(FileSystem& fs, const std::string& path, ShowWhat what, std::ostream& out) {
  TRESTLE_ASSIGN_OR_RETURN(const std::string found, FindCheckpoint(fs, path));
  TRESTLE_ASSIGN_OR_RETURN(const Manifest manifest, ReadManifest(fs, found));
  switch (what) {
    case ShowWhat::kConfig:
      out << manifest.config();
      break;
    case ShowWhat::kManifest:
      out << ManifestText(manifest);
      break;
    case ShowWhat::kFacts:
      PrintFacts(found, manifest, out);
      PrintTables(manifest, out);
      PrintFiles(manifest, out);
      PrintInputs(manifest, out);
      PrintLedger(manifest, out);
      break;
  }
  return {};
}

}  // namespace trestle
