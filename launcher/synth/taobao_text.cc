#include "launcher/synth/taobao_text.h"

#include <array>
#include <charconv>
#include <cstdio>
#include <initializer_list>

namespace trestle {
namespace {

void Append(int64_t value, std::string* text) {
  std::array<char, 24> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  text->append(digits.data(), end);
}

// Each with a comma behind it.
void AppendCells(std::initializer_list<int64_t> values, std::string* text) {
  for (const int64_t value : values) {
    Append(value, text);
    text->push_back(',');
  }
}

void AppendIfAny(const std::optional<int64_t>& value, std::string_view otherwise,
                 std::string* text) {
  value ? Append(*value, text) : static_cast<void>(text->append(otherwise));
}

// Two digits behind the point, of which a last zero is left out: 170.0, 3.85.
void AppendPrice(double price, std::string* text) {
  std::array<char, 32> digits;
  const int count = std::snprintf(digits.data(), digits.size(), "%.2f", price);
  text->append(digits.data(), count);
  if (text->back() == '0') text->pop_back();
}

}  // namespace

void AppendLine(const TaobaoAd& ad, std::string* text) {
  AppendCells({ad.id, ad.category, ad.campaign, ad.customer}, text);
  AppendIfAny(ad.brand, "NULL", text);
  text->push_back(',');
  AppendPrice(ad.price, text);
  text->push_back('\n');
}

void AppendLine(int64_t user, const TaobaoProfile& p, std::string* text) {
  AppendCells({user, p.segment, p.group, p.gender, p.age}, text);
  AppendIfAny(p.purchase_level, "", text);
  text->push_back(',');
  AppendCells({p.shopping, p.occupation}, text);
  AppendIfAny(p.city_level, "", text);
  text->push_back('\n');
}

void AppendLine(int64_t user, const TaobaoBehaviour& b, std::string* text) {
  AppendCells({user, b.time}, text);
  text->append(b.kind).push_back(',');
  AppendCells({b.category}, text);
  Append(b.brand, text);
  text->push_back('\n');
}

void AppendLine(const TaobaoImpression& i, std::string* text) {
  AppendCells({i.user, i.time, i.ad}, text);
  text->append(i.first_position ? "430548_1007" : "430539_1007").push_back(',');
  text->append(i.click ? "0,1\n" : "1,0\n");
}

void AppendOracleLine(const TaobaoImpression& i, std::string* text) {
  AppendCells({i.user, i.time, i.ad, i.matches}, text);
  std::array<char, 64> numbers;
  const int count = std::snprintf(numbers.data(), numbers.size(), "%.9g,%.9g\n",
                                  static_cast<double>(i.z), static_cast<double>(i.probability));
  text->append(numbers.data(), count);
}

}  // namespace trestle
