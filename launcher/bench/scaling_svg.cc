#include "launcher/bench/scaling_svg.h"

#include <algorithm>
#include <cmath>

#include "launcher/format.h"

namespace trestle {
namespace {

// In pixels.
constexpr double kWidth = 640, kHeight = 480;
constexpr double kLeft = 70, kRight = 20, kTop = 60, kBottom = 60;
constexpr int kMostTicks = 8;

std::string Escaped(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string Text(double x, double y, const std::string& anchor, const std::string& text,
                 const std::string& more = "") {
  return Format("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"", x, y) + anchor + "\"" + more + ">" +
         Escaped(text) + "</text>\n";
}

std::string Line(double x1, double y1, double x2, double y2, const char* style) {
  return Format("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" ", x1, y1, x2, y2) + style +
         "/>\n";
}

// 1, 2 or 5 times a power of ten: so that there are few ticks up to `most`.
double TickStep(double most) {
  const double power = std::pow(10.0, std::floor(std::log10(most / kMostTicks)));
  for (const double step : {1.0, 2.0, 5.0}) {
    if (step * power * kMostTicks >= most) return step * power;
  }
  return 10 * power;
}

class Plot {
 public:
  explicit Plot(const ScalingReport& report) : report_(report) {
    for (const ScalingPoint& point : report.points) {
      most_ranks_ = std::max(most_ranks_, double(point.ranks));
      most_speed_up_ = std::max({most_speed_up_, report.ideal(point), report.speed_up(point)});
    }
    most_ranks_ *= 1.05;
    most_speed_up_ *= 1.05;
  }

  std::string Draw() const {
    return Format(
               "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
               "font-family=\"sans-serif\" font-size=\"12\">\n",
               kWidth, kHeight) +
           "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n" + Title() + Axes() + Ideal() +
           Measured() + Legend() + "</svg>\n";
  }

 private:
  double X(double ranks) const { return kLeft + ranks / most_ranks_ * (kWidth - kLeft - kRight); }
  double Y(double speed_up) const {
    return kHeight - kBottom - speed_up / most_speed_up_ * (kHeight - kTop - kBottom);
  }

  std::string Title() const {
    return Text(kWidth / 2, 24, "middle",
                std::string(report_.weak ? "Weak" : "Strong") + " scaling of " + report_.config,
                " font-size=\"16\"") +
           Text(kWidth / 2, 44, "middle", "held constant: " + report_.held_constant,
                " fill=\"#555\"");
  }

  std::string Axes() const {
    constexpr const char* kAxis = "stroke=\"black\"";
    constexpr const char* kGrid = "stroke=\"#ddd\"";
    std::string axes;
    const double step = TickStep(most_speed_up_);
    for (double tick = 0; tick <= most_speed_up_; tick += step) {
      axes += Line(kLeft, Y(tick), kWidth - kRight, Y(tick), kGrid);
      axes += Text(kLeft - 8, Y(tick) + 4, "end", Format("%g", tick));
    }
    for (const ScalingPoint& point : report_.points) {
      axes += Line(X(point.ranks), Y(0), X(point.ranks), Y(0) + 5, kAxis);
      axes += Text(X(point.ranks), Y(0) + 20, "middle", std::to_string(point.ranks));
    }
    axes += Line(kLeft, Y(0), kWidth - kRight, Y(0), kAxis);
    axes += Line(kLeft, Y(0), kLeft, kTop, kAxis);
    axes += Text((kLeft + kWidth - kRight) / 2, kHeight - 16, "middle", "ranks");
    return axes + Text(0, 0, "middle",
                       Format("speed-up over %d %s", report_.points.front().ranks,
                              report_.points.front().ranks == 1 ? "rank" : "ranks"),
                       Format(" transform=\"translate(20 %.1f) rotate(-90)\"",
                              (kTop + kHeight - kBottom) / 2));
  }

  std::string Ideal() const {
    const ScalingPoint& first = report_.points.front();
    const ScalingPoint& last = report_.points.back();
    return Line(X(first.ranks), Y(1), X(last.ranks), Y(report_.ideal(last)),
                "stroke=\"#888\" stroke-dasharray=\"6 4\"");
  }

  std::string Measured() const {
    std::string line = "<polyline fill=\"none\" stroke=\"#1f5fbf\" stroke-width=\"2\" points=\"";
    std::string marks;
    for (const ScalingPoint& point : report_.points) {
      const double x = X(point.ranks), y = Y(report_.speed_up(point));
      line += Format("%.1f,%.1f ", x, y);
      marks += Format("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"#1f5fbf\"/>\n", x, y);
      marks +=
          Text(x, y + 18, "middle",
               Format("%.0f/s, %.0f %%", point.samples_per_s(), 100 * report_.efficiency(point)));
    }
    return line + "\"/>\n" + marks;
  }

  static std::string Legend() {
    return Line(kLeft + 15, kTop + 12, kLeft + 45, kTop + 12,
                "stroke=\"#888\" stroke-dasharray=\"6 4\"") +
           Text(kLeft + 52, kTop + 16, "start", "ideal") +
           Line(kLeft + 15, kTop + 30, kLeft + 45, kTop + 30,
                "stroke=\"#1f5fbf\" stroke-width=\"2\"") +
           Text(kLeft + 52, kTop + 34, "start", "measured: samples/s, efficiency");
  }

  const ScalingReport& report_;
  double most_ranks_ = 0, most_speed_up_ = 0;
};

}  // namespace

std::string ScalingSvg(const ScalingReport& report) { return Plot(report).Draw(); }

}  // namespace trestle
