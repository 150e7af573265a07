#include "compare/verdict.h"

#include <cmath>

namespace valbench {

std::string_view verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::same:
      return "SAME";
    case Verdict::faster:
      return "FASTER";
    case Verdict::slower:
      return "SLOWER";
    case Verdict::ambiguous:
      return "AMBIGUOUS";
    case Verdict::invalid:
      return "INVALID";
  }
  return "?";
}

int exit_code(Verdict verdict) {
  switch (verdict) {
    case Verdict::same:
    case Verdict::faster:
      return 0;
    case Verdict::slower:
      return 1;
    case Verdict::ambiguous:
      return 3;
    case Verdict::invalid:
      return 4;
  }
  return 4;
}

Verdict judge(const PairedComparison& comparison, double margin) {
  if (comparison.pairs < 2) return Verdict::ambiguous;
  const double widest = std::log1p(margin);
  const double estimate = std::log(comparison.ratio), low = std::log(comparison.low), high = std::log(comparison.high);
  if (low >= -widest && high <= widest) return Verdict::same;
  if (low > 0 && estimate > widest) return Verdict::faster;
  if (high < 0 && estimate < -widest) return Verdict::slower;
  return Verdict::ambiguous;
}

}  // namespace valbench
