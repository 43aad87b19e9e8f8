#include "launcher/synth/plant_model.h"

#include <glog/logging.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "launcher/synth/draws.h"

namespace trestle {
namespace {

constexpr double kMeanHistory = 30, kHistoryDeviation = 12;
constexpr double kBias = -2.6, kMatchWeight = 1.1, kQualityWeight = 0.3;
constexpr double kItemSkew = 1.5;  // an item of a category is its uniform^1.5-th

}  // namespace

struct PlantModel::User {
  std::array<int64_t, kPlantMaxInterests> interest{};
  std::array<double, kPlantMaxInterests> cumulative{};  // weights, summed up; the last is their sum
  int history = 0;
  std::array<int64_t, kPlantMaxHistory> item{};
};

PlantModel::PlantModel(const PlantSettings& settings)
    : settings_(settings),
      category_of_(settings.items()),
      quality_(settings.items()),
      by_category_(settings.items()),
      first_(settings.categories + 1) {
  CHECK(settings.rows >= 1 && settings.categories >= 1 && settings.interests >= 1 &&
        settings.interests <= kPlantMaxInterests);
  for (int64_t i = 0; i < settings.items(); ++i) {
    Draws draws(settings.seed, "plant/item", i);
    category_of_[i] = static_cast<int32_t>(draws.Below(settings.categories));
    quality_[i] = static_cast<float>(draws.Normal());
    ++first_[category_of_[i] + 1];
  }
  std::partial_sum(first_.begin(), first_.end(), first_.begin());
  std::iota(by_category_.begin(), by_category_.end(), 0);
  std::stable_sort(by_category_.begin(), by_category_.end(),
                   [&](int32_t a, int32_t b) { return category_of_[a] < category_of_[b]; });
}

int64_t PlantModel::DrawItem(int64_t category, double uniform) const {
  const int64_t count = std::max<int64_t>(first_[category + 1] - first_[category], 1);
  const auto place =
      static_cast<int64_t>(std::pow(uniform, kItemSkew) * static_cast<double>(count));
  return by_category_[std::min(first_[category] + place, settings_.items() - 1)];
}

PlantModel::User PlantModel::MakeUser(int64_t user) const {
  Draws draws(settings_.seed, "plant/user", user);
  User made;
  double sum = 0;
  for (int k = 0; k < settings_.interests; ++k) {
    made.interest[k] = draws.Below(settings_.categories);
    sum += draws.Exponential();  // normalized exponentials are Dirichlet(1, ..., 1)
    made.cumulative[k] = sum;
  }
  const double length = std::nearbyint(kMeanHistory + kHistoryDeviation * draws.Normal());
  made.history = static_cast<int>(std::clamp<double>(length, kPlantMinHistory, kPlantMaxHistory));
  for (int i = 0; i < made.history; ++i) {
    const double point = draws.Uniform() * sum;
    int k = 0;
    while (k + 1 < settings_.interests && made.cumulative[k] < point) ++k;
    made.item[i] = DrawItem(made.interest[k], draws.Uniform());
  }
  return made;
}

PlantRow PlantModel::Row(int64_t index) const {
  Draws draws(settings_.seed, "plant/row", index);
  PlantRow row;
  row.user = draws.Below(settings_.users());
  const User user = MakeUser(row.user);
  const bool own = draws.Uniform() < 0.5;
  const int64_t wanted =
      own ? user.interest[draws.Below(settings_.interests)] : draws.Below(settings_.categories);
  row.item = DrawItem(wanted, draws.Uniform());
  row.category = category_of_[row.item];
  row.history = user.history;
  int matches = 0;
  for (int i = 0; i < user.history; ++i) {
    row.history_item[i] = user.item[i];
    row.history_category[i] = category_of_[user.item[i]];
    matches += row.history_category[i] == row.category ? 1 : 0;
  }
  const double z = kBias + kMatchWeight * std::log1p(matches) + kQualityWeight * quality_[row.item];
  const double probability = 1.0 / (1.0 + std::exp(-z));
  row.z = static_cast<float>(z);
  row.probability = static_cast<float>(probability);
  row.click = draws.Uniform() < probability;
  return row;
}

}  // namespace trestle
