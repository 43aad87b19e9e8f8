// `trestle checkpoint diff`: the differences of two checkpoints, said table by table.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/text_format.h>

#include <algorithm>

#include "launcher/checkpoint/commands.h"
#include "launcher/checkpoint/diff_config.h"
#include "launcher/checkpoint/diff_tables.h"
#include "launcher/checkpoint/facts.h"
#include "launcher/checkpoint/text.h"
#include "launcher/format.h"
#include "ps/checkpoint/manifest.h"

namespace trestle {
namespace {

// The name of each part and what is to say of it.
using PartLines = std::vector<std::pair<std::string, std::string>>;

void AddCount(int64_t count, const std::string& what, std::string* text) {
  if (count > 0) *text += (text->empty() ? "" : ", ") + what + " " + CountText(count);
}

std::string TableText(const TableDiff& diff) {
  if (diff.same()) return "equal, " + CountText(diff.equal, "row");
  std::string text = CountText(diff.equal, "row") + " equal, " + CountText(diff.differ) +
                     " differ, " + CountText(diff.only_a) + " only in A, " +
                     CountText(diff.only_b) + " only in B";
  if (diff.differ == 0) return text;
  std::string in;
  AddCount(diff.weights, "weights", &in);
  AddCount(diff.state, "state", &in);
  AddCount(diff.occurrences, "occurrences", &in);
  AddCount(diff.samples, "samples", &in);
  AddCount(diff.last_step, "last_step", &in);
  text += "; rows that differ in " + in;
  if (diff.weights == 0) return text;
  return text + "; largest difference of weights " + Format("%.6g", diff.weight.value) + " (key " +
         std::to_string(static_cast<uint64_t>(diff.weight.at)) + ")";
}

// Whether the table is equal; what is to say goes to `text`.
Result<bool> DiffOneTable(const CheckpointReader& a, const CheckpointReader& b,
                          const std::string& name, std::string* text) {
  const TableEntry* in_a = FindTable(a.manifest(), name);
  const TableEntry* in_b = FindTable(b.manifest(), name);
  if (in_a == nullptr || in_b == nullptr) {
    const TableEntry* only = in_a ? in_a : in_b;
    *text = std::string("only in ") + (in_a ? "A" : "B") + ", " + CountText(only->rows(), "row");
    return false;
  }
  if (in_a->dim() != in_b->dim()) {
    *text = "dim " + std::to_string(in_a->dim()) + " in A, " + std::to_string(in_b->dim()) +
            " in B; rows not compared";
    return false;
  }
  TRESTLE_ASSIGN_OR_RETURN(const TableDiff diff, DiffTable(a, *in_a, b, *in_b));
  *text = TableText(diff);
  const bool same_optimizer = in_a->optimizer() == in_b->optimizer();
  if (!same_optimizer)
    *text += "; optimizer " + in_a->optimizer() + " in A, " + in_b->optimizer() + " in B";
  const bool same_seed = in_a->seed() == in_b->seed();
  if (!same_seed) *text += "; another seed";
  return diff.same() && same_optimizer && same_seed;
}

Result<bool> DiffTables(const CheckpointReader& a, const CheckpointReader& b, PartLines* lines) {
  std::vector<std::string> names;
  for (const TableEntry& table : a.manifest().tables()) names.push_back(table.name());
  for (const TableEntry& table : b.manifest().tables()) {
    if (!FindTable(a.manifest(), table.name())) names.push_back(table.name());
  }
  bool equal = true;
  for (const std::string& name : names) {
    std::string text;
    TRESTLE_ASSIGN_OR_RETURN(const bool same, DiffOneTable(a, b, name, &text));
    equal = equal && same;
    lines->push_back({name, text});
  }
  return equal;
}

std::string ShapeText(const NamedTensor& t) {
  return std::string("[") + std::to_string(t.rows) + ", " + std::to_string(t.cols) + "]";
}

// Empty if equal.
std::string TensorText(const NamedTensor& a, const NamedTensor& b) {
  if (a.rows != b.rows || a.cols != b.cols) {
    return ShapeText(a) + " in A, " + ShapeText(b) + " in B";
  }
  LargestDifference diff;
  for (size_t i = 0; i < a.values.size(); ++i) {
    diff.Compare(std::span(a.values).subspan(i, 1), std::span(b.values).subspan(i, 1),
                 static_cast<int64_t>(i));
  }
  if (diff.values == 0) return "";
  return CountText(diff.values) + " of " + CountText(static_cast<int64_t>(a.values.size())) +
         " values differ; largest difference " + Format("%.6g", diff.value) + " at [" +
         std::to_string(diff.at / a.cols) + ", " + std::to_string(diff.at % a.cols) + "]";
}

// Lines for the tensors that differ.
Result<bool> DiffDense(const CheckpointReader& a, const CheckpointReader& b, PartLines* lines) {
  TRESTLE_ASSIGN_OR_RETURN(const auto left, a.Dense());
  TRESTLE_ASSIGN_OR_RETURN(const auto right, b.Dense());
  int64_t equal = 0;
  for (const NamedTensor& tensor : left) {
    const auto other = std::ranges::find(right, tensor.name, &NamedTensor::name);
    const std::string text =
        other == right.end() ? "only in A, " + ShapeText(tensor) : TensorText(tensor, *other);
    if (text.empty()) {
      ++equal;
    } else {
      lines->push_back({tensor.name, text});
    }
  }
  for (const NamedTensor& tensor : right) {
    const bool in_a = std::ranges::find(left, tensor.name, &NamedTensor::name) != left.end();
    if (!in_a) lines->push_back({tensor.name, "only in B, " + ShapeText(tensor)});
  }
  const bool same = lines->empty();
  if (equal > 0) lines->push_back({same ? "all" : "others", CountText(equal, "tensor") + " equal"});
  return same;
}

// Lines for the fields that differ.
bool DiffCursors(const Cursor& a, const Cursor& b, PartLines* lines) {
  for (int f = 0; f < Cursor::descriptor()->field_count(); ++f) {
    const auto* field = Cursor::descriptor()->field(f);
    std::string left, right;
    google::protobuf::TextFormat::PrintFieldValueToString(a, field, -1, &left);
    google::protobuf::TextFormat::PrintFieldValueToString(b, field, -1, &right);
    if (left != right) lines->push_back({field->name(), left + " in A, " + right + " in B"});
  }
  return lines->empty();
}

void Print(const std::string& title, const PartLines& lines, std::ostream& out) {
  if (lines.empty()) return;
  out << title << "\n";
  size_t width = 0;
  for (const auto& [name, text] : lines) width = std::max(width, name.size());
  for (const auto& [name, text] : lines) {
    out << "  " << name << std::string(width - name.size() + 2, ' ') << text << "\n";
  }
}

void PrintConfig(const Manifest& a, const Manifest& b, std::ostream& out) {
  const std::vector<std::string> lines = DiffConfigs(a.config(), b.config());
  if (lines.empty()) return;
  out << "config (- A, + B)\n";
  for (const std::string& line : lines) out << "  " << line << "\n";
}

}  // namespace

Result<bool> DiffCommand(FileSystem& fs, const std::string& path_a, const std::string& path_b,
                         std::ostream& out) {
  TRESTLE_ASSIGN_OR_RETURN(const auto a, OpenCheckpoint(fs, path_a));
  TRESTLE_ASSIGN_OR_RETURN(const auto b, OpenCheckpoint(fs, path_b));
  PartLines tables, dense, cursor;
  TRESTLE_ASSIGN_OR_RETURN(const bool same_tables, DiffTables(*a, *b, &tables));
  TRESTLE_ASSIGN_OR_RETURN(const bool same_dense, DiffDense(*a, *b, &dense));
  const bool same_cursor = DiffCursors(a->manifest().cursor(), b->manifest().cursor(), &cursor);
  out << "A  " << a->path() << "\nB  " << b->path() << "\n";
  Print("tables", tables, out);
  Print("dense", dense, out);
  Print("cursor", cursor, out);
  PrintConfig(a->manifest(), b->manifest(), out);
  const bool same = same_tables && same_dense && same_cursor;
  out << (same ? "equal" : "they differ") << "\n";
  return same;
}

}  // namespace trestle
