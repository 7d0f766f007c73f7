// Sums over rows, added up in double. A block takes 32 columns and a share of the rows; shares are
// added by a second launch in their order, so that the result is the same in every run.
#include "tg_common.cuh"

constexpr int COLUMNS = 32, LINES = 8, TOTAL_THREADS = 256;

// part[share, column] = the sum of x over the rows share, share + shares, ...
template <class T>
__global__ void __launch_bounds__(COLUMNS* LINES)
    sum_rows_part(const T* __restrict__ x, double* __restrict__ part, int rows, int columns) {
  __shared__ double lines[LINES][COLUMNS];
  const int lane = threadIdx.x % COLUMNS, line = threadIdx.x / COLUMNS;
  const int column = blockIdx.x * COLUMNS + lane;
  double total = 0;
  if (column < columns)
    for (int row = blockIdx.y * LINES + line; row < rows; row += gridDim.y * LINES)
      total += double(x[(long long)row * columns + column]);
  lines[line][lane] = total;
  __syncthreads();
  if (line == 0 && column < columns) {
    for (int i = 1; i < LINES; ++i) total += lines[i][lane];
    part[(long long)blockIdx.y * columns + column] = total;
  }
}

// y[column] = the sum of part over its shares.
template <class T>
__global__ void add_parts(const double* __restrict__ part, T* __restrict__ y, int shares, int columns) {
  for (int column = tg_first(); column < columns; column += tg_stride()) {
    double total = 0;
    for (int share = 0; share < shares; ++share) total += part[(long long)share * columns + column];
    y[column] = T(total);
  }
}

// y[0] = the sum of n numbers, by one block: what is left to do for a sum over a whole array.
__global__ void __launch_bounds__(TOTAL_THREADS) add_all(const double* __restrict__ x, double* __restrict__ y, int n) {
  __shared__ double room[TOTAL_THREADS / 32];
  double total = 0;
  for (int i = threadIdx.x; i < n; i += TOTAL_THREADS) total += x[i];
  total = tg_block_sum<TOTAL_THREADS>(total, room);
  if (threadIdx.x == 0) y[0] = total;
}
