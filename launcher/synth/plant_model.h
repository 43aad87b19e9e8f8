// The planted click model: data on which attention decides, and whose best possible AUC is known.
//
// A user has several interests (categories) of unequal weight and a history drawn from them. A
// click depends on how many behaviours of the history share the candidate's category, so a model
// that pools the history without looking at the candidate cannot see it, and a little on the item's
// quality:
//
//   click ~ Bernoulli(sigmoid(z)),   z = -2.6 + 1.1 log(1 + matches) + 0.3 quality(item)
//
// Half of the candidates come from one of the user's interests, half from anywhere. Everything is a
// function of position (draws.h), so any thread can make any row.
//
// Thread safety: immutable after construction. Memory: 8 bytes an item and 8 a category; users are
// not stored but made again for each of their rows. Source: our own; the shape follows DIN's
// motivating example (Zhou et al., KDD 2018, section 1).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace trestle {

struct PlantSettings {
  int64_t rows = 1'000'000;
  int64_t categories = 1000;
  int interests = 8;  // a user's
  uint64_t seed = 5;
  int64_t users() const { return rows / 20 > 0 ? rows / 20 : 1; }
  int64_t items() const { return categories * 20; }
};

inline constexpr int kPlantMinHistory = 2;
inline constexpr int kPlantMaxHistory = 50;
inline constexpr int kPlantMaxInterests = 64;

struct PlantRow {
  int64_t user = 0;
  int64_t item = 0;
  int64_t category = 0;
  int history = 0;  // items of it
  std::array<int64_t, kPlantMaxHistory> history_item{};
  std::array<int64_t, kPlantMaxHistory> history_category{};
  float z = 0;  // the logit that the click was drawn with
  float probability = 0;
  bool click = false;
};

class PlantModel {
 public:
  // Requires rows >= 1, 1 <= categories < 2^31 / 20, 1 <= interests <= kPlantMaxInterests.
  explicit PlantModel(const PlantSettings& settings);

  const PlantSettings& settings() const { return settings_; }
  // Row `row` of the whole, 0-based. Ids count from 0.
  PlantRow Row(int64_t row) const;

 private:
  struct User;

  User MakeUser(int64_t user) const;
  // An item of a category, the first of it more often than the last; of the next category that has
  // items when this one has none.
  int64_t DrawItem(int64_t category, double uniform) const;

  PlantSettings settings_;
  std::vector<int32_t> category_of_;  // [items]
  std::vector<float> quality_;        // [items]
  std::vector<int32_t> by_category_;  // [items], sorted by category, then id
  std::vector<int64_t> first_;        // [categories + 1] into by_category_
};

}  // namespace trestle
