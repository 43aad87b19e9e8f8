#include "launcher/synth/taobao_model.h"

#include <glog/logging.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "launcher/synth/draws.h"

namespace trestle {
namespace {

constexpr double kSkew = 1.5;  // of ads within a category, brands, and users within a block

// Alibaba's shares: rows a user, rows an ad, ads a campaign and a customer.
constexpr int64_t kRowsOfUser = 23, kRowsOfAd = 31, kAdsOfCampaign = 2, kAdsOfCustomer = 3;
constexpr double kNoBrand = 0.29, kNoProfile = 0.07, kNoBehaviours = 0.02;
constexpr double kNoPurchaseLevel = 0.54, kNoCityLevel = 0.33;
constexpr double kTwice = 0.07, kSameSecond = 0.05, kNoTime = 0.0002;
constexpr double kBehaviourSpread = 1.0;  // of the logarithm of their number
constexpr double kMostBehaviours = 20;    // times the average

// A bijection of [0, n) to [1, n], n <= 10^9.
int64_t Scatter(int64_t index, int64_t n) {
  constexpr int64_t kPrime = 1'000'000'007;
  return index * kPrime % n + 1;
}

std::string_view DrawKind(Draws& draws) {
  const double r = draws.Uniform();
  return r < 0.957 ? "pv" : r < 0.982 ? "cart" : r < 0.992 ? "fav" : "buy";
}

auto OrderOf(const TaobaoBehaviour& b) { return std::tuple(b.time, b.category, b.brand, b.kind); }

std::vector<TaobaoBehaviour> InOrder(std::vector<TaobaoBehaviour> all) {
  std::erase_if(all, [](const TaobaoBehaviour& b) { return b.time <= 0; });
  std::ranges::sort(all, {}, OrderOf);
  return all;
}

}  // namespace

struct TaobaoModel::Interests {
  std::array<int64_t, kTaobaoInterests> category{};
  std::array<double, kTaobaoInterests> cumulative{};  // weights, summed up; the last is their sum
};

TaobaoModel::TaobaoModel(const TaobaoSettings& settings)
    : settings_(settings),
      users_(settings.users > 0 ? settings.users
                                : std::max<int64_t>(settings.rows / kRowsOfUser, 1)),
      ads_of_category_(std::max<int64_t>(settings.rows / kRowsOfAd / settings.categories, 4)),
      blocks_((users_ + kTaobaoBlockUsers - 1) / kTaobaoBlockUsers) {
  CHECK(settings.rows >= 1 && settings.categories >= 1 && settings.behaviours >= 0);
}

int64_t TaobaoModel::UserId(int64_t index) const { return Scatter(index, users_); }

int64_t TaobaoModel::CategoryId(int64_t category) const {
  return Scatter(category, settings_.categories);
}

int64_t TaobaoModel::BrandId(int64_t category, int64_t brand) const {
  return Scatter(category * kTaobaoBrands + brand, settings_.categories * kTaobaoBrands);
}

TaobaoAd TaobaoModel::Ad(int64_t index) const {
  Draws draws(settings_.seed, "taobao/ad", index);
  const int64_t category = index / ads_of_category_;
  TaobaoAd ad;
  ad.id = Scatter(index, ads());
  ad.category = CategoryId(category);
  ad.campaign = Scatter(index / kAdsOfCampaign, ads() / kAdsOfCampaign + 1);
  ad.customer = Scatter(index / kAdsOfCustomer, ads() / kAdsOfCustomer + 1);
  const int64_t brand = draws.SkewedBelow(kTaobaoBrands, kSkew);
  if (draws.Uniform() >= kNoBrand) ad.brand = BrandId(category, brand);
  ad.price = std::exp(5.0 + 1.3 * draws.Normal());
  ad.quality = draws.Normal();
  return ad;
}

std::optional<TaobaoProfile> TaobaoModel::Profile(int64_t index) const {
  Draws draws(settings_.seed, "taobao/profile", index);
  if (draws.Uniform() < kNoProfile) return std::nullopt;
  TaobaoProfile profile;
  profile.segment = draws.Below(97);
  profile.group = draws.Below(13);
  profile.gender = 1 + draws.Below(2);
  profile.age = draws.Below(7);
  if (draws.Uniform() >= kNoPurchaseLevel) profile.purchase_level = 1 + draws.Below(3);
  profile.shopping = 1 + draws.Below(3);
  profile.occupation = draws.Uniform() < 0.06 ? 1 : 0;
  if (draws.Uniform() >= kNoCityLevel) profile.city_level = 1 + draws.Below(4);
  return profile;
}

TaobaoModel::Interests TaobaoModel::InterestsOf(int64_t user) const {
  Draws draws(settings_.seed, "taobao/interests", user);
  Interests made;
  double sum = 0;
  for (int k = 0; k < kTaobaoInterests; ++k) {
    made.category[k] = draws.Below(settings_.categories);
    sum += draws.Exponential();  // normalized exponentials are Dirichlet(1, ..., 1)
    made.cumulative[k] = sum;
  }
  return made;
}

std::vector<TaobaoBehaviour> TaobaoModel::Behaviours(int64_t index) const {
  Draws draws(settings_.seed, "taobao/behaviours", index);
  const Interests interests = InterestsOf(index);
  if (draws.Uniform() < kNoBehaviours) return {};
  // The mean of exp(s z) is exp(s^2 / 2).
  const double ratio =
      std::exp(kBehaviourSpread * draws.Normal() - kBehaviourSpread * kBehaviourSpread / 2);
  const auto count = static_cast<int64_t>(static_cast<double>(settings_.behaviours) *
                                          std::min(ratio, kMostBehaviours));
  std::vector<TaobaoBehaviour> made;
  made.reserve(count);
  for (int64_t i = 0; i < count; ++i) {
    const double like_last = i == 0 ? 1.0 : draws.Uniform();
    if (like_last < kTwice) {
      made.push_back(made.back());
      continue;
    }
    TaobaoBehaviour one;
    one.time = kTaobaoFirstBehaviour + draws.Below(kTaobaoEnd - kTaobaoFirstBehaviour);
    if (like_last < kTwice + kSameSecond) one.time = made.back().time;
    if (draws.Uniform() < kNoTime) one.time = -one.time;
    const double point = draws.Uniform() * interests.cumulative.back();
    const auto k =
        std::ranges::lower_bound(interests.cumulative, point) - interests.cumulative.begin();
    const int64_t category = interests.category[std::min<int64_t>(k, kTaobaoInterests - 1)];
    one.category = CategoryId(category);
    one.brand = BrandId(category, draws.SkewedBelow(kTaobaoBrands, kSkew));
    one.kind = DrawKind(draws);
    made.push_back(one);
  }
  return made;
}

int64_t TaobaoModel::FirstUser(int64_t block) const {
  return std::min(block * kTaobaoBlockUsers, users_);
}

// In proportion to the users; rows * users may exceed 64 bits.
int64_t TaobaoModel::FirstRow(int64_t block) const {
  __extension__ typedef __int128 Wide;
  return static_cast<int64_t>(Wide{settings_.rows} * FirstUser(block) / users_);
}

TaobaoImpression TaobaoModel::Impression(int64_t row, int64_t user,
                                         const std::vector<TaobaoBehaviour>& history) const {
  Draws draws(settings_.seed, "taobao/impression", row);
  const Interests interests = InterestsOf(user);
  TaobaoImpression made;
  made.user = UserId(user);
  made.time = kTaobaoFirstImpression + draws.Below(kTaobaoEnd - kTaobaoFirstImpression);
  if (draws.Uniform() < kSameSecond && !history.empty()) {
    const int64_t time = history[draws.Below(static_cast<int64_t>(history.size()))].time;
    if (time >= kTaobaoFirstImpression) made.time = time;
  }
  const bool own = draws.Uniform() < 0.5;
  const int64_t category =
      own ? interests.category[draws.Below(kTaobaoInterests)] : draws.Below(settings_.categories);
  const TaobaoAd ad = Ad(category * ads_of_category_ + draws.SkewedBelow(ads_of_category_, kSkew));
  made.ad = ad.id;
  made.first_position = draws.Uniform() < 0.62;
  const auto end = std::ranges::lower_bound(history, made.time, {}, &TaobaoBehaviour::time);
  const auto seen = std::min<int64_t>(end - history.begin(), kTaobaoHistory);
  made.matches = static_cast<int>(
      std::ranges::count(end - seen, end, ad.category, &TaobaoBehaviour::category));
  constexpr double kBias = -4.0, kMatchWeight = 1.1, kQualityWeight = 0.3;
  const double z = kBias + kMatchWeight * std::log1p(made.matches) + kQualityWeight * ad.quality;
  const double probability = 1.0 / (1.0 + std::exp(-z));
  made.z = static_cast<float>(z);
  made.probability = static_cast<float>(probability);
  made.click = draws.Uniform() < probability;
  return made;
}

std::vector<TaobaoImpression> TaobaoModel::Impressions(
    int64_t block, const std::vector<std::vector<TaobaoBehaviour>>& behaviours) const {
  const int64_t first = FirstUser(block), users = FirstUser(block + 1) - first;
  CHECK_EQ(static_cast<int64_t>(behaviours.size()), users);
  std::vector<std::vector<TaobaoBehaviour>> histories;
  for (const auto& all : behaviours) histories.push_back(InOrder(all));
  std::vector<TaobaoImpression> made;
  for (int64_t row = FirstRow(block); row < FirstRow(block + 1); ++row) {
    Draws draws(settings_.seed, "taobao/user", row);
    const int64_t user = draws.SkewedBelow(users, kSkew);
    made.push_back(Impression(row, first + user, histories[user]));
  }
  return made;
}

}  // namespace trestle
