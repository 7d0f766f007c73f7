// The sum of the parts of a convolution whose k was split among blocks, in their order and in double;
// bound by memory, which it reads once.
#include "tg_activation.cuh"

// y = f(the sum of part over its splits + bias), bias repeating every `columns` elements.
__global__ void add_splits(const float* __restrict__ part, const float* __restrict__ bias,
                           float* __restrict__ y, int size, int columns, int splits, int kind, float parameter) {
  for (int i = tg_first(); i < size; i += tg_stride()) {
    double total = bias ? double(bias[i % columns]) : 0.;
#pragma unroll 4
    for (int split = 0; split < splits; ++split) total += double(part[(size_t)split * size + i]);
    y[i] = tg_activate(float(total), kind, parameter);
  }
}
