// The sum of the shares of a convolution whose depth was cut among blocks, in their order and in
// double; bound by memory, which it reads once.
#include "tg_activation.cuh"

// y = f(b + the sum of the shares, one after the other); b repeats every `columns` numbers.
template <class T>
__global__ void add_shares(const T* __restrict__ shares, const T* __restrict__ b, T* __restrict__ y, int count,
                           int size, int columns, int kind, T a) {
  for (int i = tg_first(); i < size; i += tg_stride()) {
    double total = b ? double(b[i % columns]) : 0;
#pragma unroll 4
    for (int share = 0; share < count; ++share) total += double(shares[(long long)share * size + i]);
    y[i] = tg_activate(T(total), kind, a);
  }
}
