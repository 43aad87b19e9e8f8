#include "backend/vector_math.h"

#include "backend/isa.h"

namespace trestle {

namespace avx2 {
const VectorMath<float>& FloatTable();
const VectorMath<double>& DoubleTable();
}  // namespace avx2
namespace avx512 {
const VectorMath<float>& FloatTable();
const VectorMath<double>& DoubleTable();
}  // namespace avx512

template <>
const VectorMath<float>& Vectors() {
  const bool wide = ActiveInstructionSet() == InstructionSet::kAvx512;
  return wide ? avx512::FloatTable() : avx2::FloatTable();
}

template <>
const VectorMath<double>& Vectors() {
  const bool wide = ActiveInstructionSet() == InstructionSet::kAvx512;
  return wide ? avx512::DoubleTable() : avx2::DoubleTable();
}

}  // namespace trestle
