// The lines of Alibaba's files, as they spell them.
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "launcher/synth/taobao_model.h"

namespace trestle {

inline constexpr std::string_view kRawSampleHeader = "user,time_stamp,adgroup_id,pid,nonclk,clk\n";
inline constexpr std::string_view kAdFeatureHeader =
    "adgroup_id,cate_id,campaign_id,customer,brand,price\n";
// The blank at the end is Alibaba's.
inline constexpr std::string_view kUserProfileHeader =
    "userid,cms_segid,cms_group_id,final_gender_code,age_level,pvalue_level,shopping_level,"
    "occupation,new_user_class_level \n";
inline constexpr std::string_view kBehaviorLogHeader = "user,time_stamp,btag,cate,brand\n";
inline constexpr std::string_view kOracleHeader =
    "user,time_stamp,adgroup_id,matches,logit,probability\n";

void AppendLine(const TaobaoAd& ad, std::string* text);
void AppendLine(int64_t user, const TaobaoProfile& profile, std::string* text);
void AppendLine(int64_t user, const TaobaoBehaviour& behaviour, std::string* text);
// One of raw_sample.csv, and the one of oracle.csv that goes with it.
void AppendLine(const TaobaoImpression& impression, std::string* text);
void AppendOracleLine(const TaobaoImpression& impression, std::string* text);

}  // namespace trestle
