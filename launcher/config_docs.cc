#include "launcher/config_docs.h"

#include <glog/logging.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <set>
#include <vector>

#include "base/nearest_name.h"
#include "launcher/config.pb.h"
#include "launcher/config/ranges.h"
#include "launcher/config/scalar.h"

namespace trestle {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::SourceLocation;

constexpr std::string_view kHead =
    R"(<!-- Made by `trestle config docs` from the comments of the .proto files; do not edit. -->
# Config

A run is described by one file in protobuf text: names, colons, braces; lists in brackets, `#` before a
comment. `trestle config check FILE` reads it and tells all that is wrong at once, each with
file:line:column. `--set` changes a setting from the command line, with the same checks:

    --set train.epochs=2                      a field
    --set tables[brand].dim=128               an entry of a list by its name, made if there is none
    --set features.id[0].dim=8                an entry without a name, by its index
    --set data.train=[a.parquet,b.parquet]    a list replaces the list; strings need no quotes
    --set optimizer.embedding.adam.lr=0.01    a member of "one of" replaces the other members
    --set model='{ base { } }'                a message replaces the message

An example:

)";

constexpr std::string_view kExample = R"(data {
  train: "data/taobao/train/*.parquet"  test: "data/taobao/test/*.parquet"
  label: "clk"  group: "userid"         # group: GAUC's
  order: SHUFFLE                        # or TIME
}
features {
  id { columns: ["adgroup_id", "cate_id", "brand", "campaign_id", "customer"]  dim: 32 }
  id { columns: ["userid", "cms_segid", "occupation", "pid"]  dim: 8 }
  sequence { columns: ["hist_cate", "hist_brand"]  like: ["cate_id", "brand"]  keep_last: 50 }
  numeric { columns: ["price"]  transform: LOG1P  scale: STANDARD  missing: 0 }
}
model { din {                           # features not named here go into the MLP's input
  candidate: ["cate_id", "brand"]
  history: ["hist_cate", "hist_brand"]
  attention { units: [80, 40]  activation: DICE }
  mlp { units: [200, 80]  activation: DICE }
} }
optimizer { embedding { adagrad { lr: 0.05 } }  dense { adam { lr: 0.001 } } }
batch { rows: 4096  lanes: 16 }
train { epochs: 1 }
checkpoint { dir: "runs/taobao_din" }
cluster { servers: 0  device: AUTO }
tables { name: "campaign_id"  dim: 16 } # only where one table differs
)";

// A comment as one line of prose.
std::string OneLine(const std::string& comment) {
  std::string text;
  bool space = false;
  for (const char c : comment) {
    if (c == ' ' || c == '\n' || c == '\t') {
      space = true;
      continue;
    }
    if (space && !text.empty()) text += ' ';
    space = false;
    text += c;
  }
  return text;
}

template <class D>
std::string CommentOf(const D* descriptor) {
  SourceLocation location;
  if (!descriptor->GetSourceLocation(&location)) return {};
  return OneLine(location.leading_comments + " " + location.trailing_comments);
}

std::string Cell(const std::string& text) {
  std::string cell;
  for (const char c : text) {
    if (c == '|') cell += '\\';
    cell += c;
  }
  return cell;
}

// Messages declared inside another are told in its table; the others have a table of their own.
bool IsInside(const FieldDescriptor* field) {
  return IsMessage(field) && field->message_type()->containing_type() == field->containing_type();
}

std::string TypeOf(const FieldDescriptor* field) {
  std::string type;
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      type.append("[").append(field->message_type()->name()).append("](#");
      for (const char c : field->message_type()->name()) {
        type += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      }
      type += ')';
      break;
    case FieldDescriptor::CPPTYPE_ENUM:
      type = JoinNames(ValueNames(field->enum_type()));
      break;
    case FieldDescriptor::CPPTYPE_STRING:
      type = "string";
      break;
    case FieldDescriptor::CPPTYPE_BOOL:
      type = "true, false";
      break;
    case FieldDescriptor::CPPTYPE_FLOAT:
    case FieldDescriptor::CPPTYPE_DOUBLE:
      type = "number";
      break;
    default:
      type = "integer";
  }
  return field->is_repeated() ? "list of " + type : type;
}

// What protobuf itself says about a field that was not set.
std::string PlainDefault(const FieldDescriptor* field) {
  if (field->is_repeated() || field->has_presence()) return {};
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_ENUM:
      return field->enum_type()->value(0)->name();
    case FieldDescriptor::CPPTYPE_BOOL:
      return "false";
    case FieldDescriptor::CPPTYPE_STRING:
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return {};
    default:
      return "0";
  }
}

std::string ValuesText(const EnumDescriptor* type) {
  std::string text;
  for (int i = 0; i < type->value_count(); ++i) {
    const std::string comment = CommentOf(type->value(i));
    if (comment.empty()) continue;
    text.append(text.empty() ? "" : "; ").append("`").append(type->value(i)->name());
    text.append("`: ").append(comment);
  }
  return text;
}

void Append(std::string* sentence, const std::string& more) {
  if (more.empty()) return;
  if (!sentence->empty()) *sentence += sentence->back() == '.' ? " " : ". ";
  *sentence += more;
}

class Page {
 public:
  explicit Page(const DescriptorPool& pool) : pool_(pool) {}

  std::string Write() {
    text_ = std::string(kHead);
    for (size_t begin = 0; begin < kExample.size();) {
      const size_t end = kExample.find('\n', begin);
      text_.append("    ").append(kExample.substr(begin, end - begin)).append("\n");
      begin = end + 1;
    }
    const Descriptor* config = pool_.FindMessageTypeByName(Config::descriptor()->full_name());
    CHECK(config) << "the descriptors that were built in do not hold the config";
    Section(config, "##");
    for (int i = 0; i < config->field_count(); ++i) SectionsOf(config->field(i), "##");
    return text_;
  }

 private:
  // The field's message and, below it, those that it uses for the first time.
  void SectionsOf(const FieldDescriptor* field, const std::string& level) {
    if (!IsMessage(field)) return;
    const Descriptor* type = field->message_type();
    if (!IsInside(field)) {
      if (!written_.insert(type).second) return;
      Section(type, level);
    }
    for (int i = 0; i < type->field_count(); ++i) SectionsOf(type->field(i), "###");
  }

  void Section(const Descriptor* type, const std::string& level) {
    text_.append("\n").append(level).append(" ").append(type->name()).append("\n");
    if (const std::string comment = CommentOf(type); !comment.empty()) {
      text_.append("\n").append(comment).append("\n");
    }
    text_ += "\n| Field | Type | Default | Allowed | Meaning |\n| --- | --- | --- | --- | --- |\n";
    Rows(type, "");
  }

  void Rows(const Descriptor* type, const std::string& prefix) {
    for (int i = 0; i < type->field_count(); ++i) {
      const FieldDescriptor* field = type->field(i);
      Row(field, prefix);
      if (IsInside(field)) Rows(field->message_type(), prefix + field->name() + ".");
    }
  }

  void Row(const FieldDescriptor* field, const std::string& prefix) {
    FieldComment comment = SplitComment(CommentOf(field));
    if (comment.fallback.empty()) comment.fallback = PlainDefault(field);
    std::string meaning = comment.meaning;
    if (IsInside(field)) Append(&meaning, CommentOf(field->message_type()));
    if (field->enum_type()) Append(&meaning, ValuesText(field->enum_type()));
    if (const auto* oneof = field->real_containing_oneof()) {
      std::vector<std::string> names;
      for (int i = 0; i < oneof->field_count(); ++i) names.push_back(oneof->field(i)->name());
      if (field == oneof->field(0)) Append(&meaning, "One of " + JoinNames(names));
    }
    text_.append("| `").append(prefix).append(field->name()).append("` | ");
    text_.append(IsInside(field) ? "{ ... }" : TypeOf(field)).append(" | ");
    text_.append(Cell(comment.fallback)).append(" | ").append(RangeText(field)).append(" | ");
    text_.append(Cell(meaning)).append(" |\n");
  }

  const DescriptorPool& pool_;
  std::string text_;
  std::set<const Descriptor*> written_;
};

}  // namespace

std::string_view ExampleConfig() { return kExample; }

FieldComment SplitComment(std::string_view comment) {
  constexpr std::string_view kWord = "default ";
  for (size_t at = comment.rfind(kWord); at != std::string_view::npos && at <= comment.size();
       at = at == 0 ? std::string_view::npos : comment.rfind(kWord, at - 1)) {
    const size_t before = comment.find_last_not_of(' ', at == 0 ? 0 : at - 1);
    const bool starts = at == 0;
    if (!starts && std::string_view(",;.").find(comment[before]) == std::string_view::npos)
      continue;
    std::string_view meaning = starts ? std::string_view() : comment.substr(0, before);
    std::string_view fallback = comment.substr(at + kWord.size());
    if (!fallback.empty() && fallback.back() == '.') fallback.remove_suffix(1);
    return {std::string(meaning), std::string(fallback)};
  }
  return {std::string(comment), ""};
}

std::string ConfigDocs() {
  google::protobuf::FileDescriptorSet files;
  const auto bytes = ConfigDescriptorSet();
  CHECK(files.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
  DescriptorPool pool;
  for (const auto& file : files.file()) {
    CHECK(pool.BuildFile(file)) << file.name();  // imports come before what imports them
  }
  return Page(pool).Write();
}

}  // namespace trestle
