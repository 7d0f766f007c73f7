// Sums over rows, added up in double; bound by memory, which is read once. See tg_columns.cuh.
#include "tg_columns.cuh"

constexpr int TOTAL_THREADS = 256;

template <class T, int N> struct Values {
  using Item = TgPack<T, N>;
  static constexpr int AHEAD = 4;
  const T* x;
  __device__ Item load(int, unsigned place) const { return tg_load<N>(x + place); }
  __device__ void add(const Item& values, double (&sums)[1][N]) const {
#pragma unroll
    for (int k = 0; k < N; ++k) sums[0][k] += double(values.at[k]);
  }
};

// part[share, column] = the sum of x over the rows of a share.
template <class T, int N>
__global__ void __launch_bounds__(TG_BLOCK)
    sum_rows_part(const T* __restrict__ x, double* __restrict__ part, int rows, int columns, int width) {
  const TgColumns at(columns, width, N);
  tg_column_sums<N, 1>(at, Values<T, N>{x + at.column}, part, rows, columns, width);
}

// y[column] = the sum of part over its shares.
template <class T>
__global__ void __launch_bounds__(TG_BLOCK)
    add_parts(const double* __restrict__ part, T* __restrict__ y, int shares, int columns) {
  const int column = tg_first() / 32;
  if (column >= columns) return;
  const double total = tg_add_shares(part, column, shares, columns);
  if (threadIdx.x % 32 == 0) y[column] = T(total);
}

// y[0] = the sum of n numbers, by one block: what is left to do for a sum over a whole array.
__global__ void __launch_bounds__(TOTAL_THREADS) add_all(const double* __restrict__ x, double* __restrict__ y, int n) {
  __shared__ double room[TOTAL_THREADS / 32];
  double total = 0;
  for (int i = threadIdx.x; i < n; i += TOTAL_THREADS) total += x[i];
  total = tg_block_sum<TOTAL_THREADS>(total, room);
  if (threadIdx.x == 0) y[0] = total;
}
