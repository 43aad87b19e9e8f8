// The planted model behind `trestle synth taobao`: a shop whose logs look like Alibaba's display
// advertising data, and whose click probabilities are known.
//
// A user has eight interests (categories) of unequal weight and behaves according to them for 22
// days. A click depends on how many of the user's last 50 behaviours before the impression are of
// the ad's category, so only some behaviours matter for a candidate, and a little on the ad:
//
//   click ~ Bernoulli(sigmoid(z)),   z = -4 + 1.1 log(1 + matches) + 0.3 quality(ad)
//
// Half of the ads shown come from the user's interests, half from anywhere. As in the real logs:
// equal time stamps, lines that occur twice, a few times that are none, users without behaviours or
// without a profile, ads without a brand, empty profile cells, impressions in the very second of a
// behaviour. "Before" is strict; behaviours of one second are in the order of category, brand and
// kind, as prepare/taobao.sql has them.
//
// Users are made in blocks: a block's rows are of its users only, so that a user's behaviours are
// made once and nothing is kept. Everything is a function of position (draws.h).
//
// Thread safety: immutable after construction. Memory: none that grows with the rows.
// Source: our own; the shape follows DIN's motivating example (Zhou et al., KDD 2018, section 1),
// columns and shares those that Alibaba published.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace trestle {

struct TaobaoSettings {
  int64_t rows = 1'000'000;
  int64_t users = 0;         // 0: a user for 23 rows
  int64_t behaviours = 630;  // of a user, on average
  int64_t categories = 1000;
  uint64_t seed = 5;
};

// Seconds since 1970. Days are Beijing's, where the logs were taken.
inline constexpr int64_t kTaobaoDay = 86'400;
inline constexpr int64_t kTaobaoFirstImpression = 1'494'000'000;  // 2017-05-06 0:00
inline constexpr int64_t kTaobaoTestDay = kTaobaoFirstImpression + 7 * kTaobaoDay;
inline constexpr int64_t kTaobaoEnd = kTaobaoFirstImpression + 8 * kTaobaoDay;
inline constexpr int64_t kTaobaoFirstBehaviour = kTaobaoEnd - 22 * kTaobaoDay;

inline constexpr int kTaobaoHistory = 50;   // behaviours that count
inline constexpr int kTaobaoInterests = 8;  // categories a user likes
inline constexpr int kTaobaoBrands = 20;    // of a category
inline constexpr int kTaobaoBlockUsers = 256;

// Ids are those of the files, from 1; they do not tell what belongs together.
struct TaobaoAd {
  int64_t id = 0, category = 0, campaign = 0, customer = 0;
  std::optional<int64_t> brand;
  double price = 0;
  double quality = 0;  // not in the files
};

struct TaobaoBehaviour {
  int64_t time = 0;  // negative: none
  int64_t category = 0, brand = 0;
  std::string_view kind;  // pv, cart, fav, buy
};

struct TaobaoProfile {
  int64_t segment = 0, group = 0, gender = 0, age = 0, shopping = 0, occupation = 0;
  std::optional<int64_t> purchase_level, city_level;
};

struct TaobaoImpression {
  int64_t user = 0, time = 0, ad = 0;  // ids
  bool first_position = false;         // which of the two places it was shown at
  bool click = false;
  int matches = 0;
  float z = 0;  // the logit that the click was drawn with
  float probability = 0;
};

class TaobaoModel {
 public:
  // Requires settings in the ranges that WriteTaobao checks.
  explicit TaobaoModel(const TaobaoSettings& settings);

  int64_t users() const { return users_; }
  int64_t ads() const { return settings_.categories * ads_of_category_; }
  int64_t blocks() const { return blocks_; }

  // The ad and the user with number `index`, from 0; ids are in an order of their own.
  TaobaoAd Ad(int64_t index) const;
  int64_t UserId(int64_t index) const;
  std::optional<TaobaoProfile> Profile(int64_t index) const;
  // In no order; none for some users.
  std::vector<TaobaoBehaviour> Behaviours(int64_t index) const;

  // The users of a block, and its rows in order: rows of all blocks, one after the other, are
  // raw_sample.csv. `behaviours` are those of each of its users.
  int64_t FirstUser(int64_t block) const;
  std::vector<TaobaoImpression> Impressions(
      int64_t block, const std::vector<std::vector<TaobaoBehaviour>>& behaviours) const;

 private:
  struct Interests;
  Interests InterestsOf(int64_t user) const;
  int64_t FirstRow(int64_t block) const;
  int64_t CategoryId(int64_t category) const;
  int64_t BrandId(int64_t category, int64_t brand) const;
  TaobaoImpression Impression(int64_t row, int64_t user,
                              const std::vector<TaobaoBehaviour>& history) const;

  TaobaoSettings settings_;
  int64_t users_ = 0;
  int64_t ads_of_category_ = 0;
  int64_t blocks_ = 0;
};

}  // namespace trestle
