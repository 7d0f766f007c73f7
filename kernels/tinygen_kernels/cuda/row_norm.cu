// Normalisation of the rows of a matrix, each over its own columns; see reference/row_norm.py.
//
// `lanes` threads share a row: a part of a warp, or a whole block where rows are long. They read it
// twice, for sums and for the result, the second time from the nearest cache; so what limits this is
// memory, 8 bytes a number of float forward and 12 back. All is computed in double. Moments are those
// of d = x - the row's first number, in one pass, which costs no digits worth counting; see norm.cu.
// `portion` is 1 / columns.
#include "tg_columns.cuh"

constexpr int LONGEST = 1024;  // threads of a block

// The part of a row that a thread has: packs of N columns from `column` on, every `step` columns.
template <int N> struct Row {
  int row, column, step, end;
  __device__ Row(int rows, int columns, int lanes) {
    row = blockIdx.x * (blockDim.x / lanes) + threadIdx.x / lanes;
    column = threadIdx.x % lanes * N, step = lanes * N;
    end = row < rows ? columns : 0;  // threads without a row still take part in sums
  }
  __device__ long long first(int columns) const { return end ? (long long)row * columns : 0; }
};

// Sums over the threads of a row, in each of them.
template <int SUMS> __device__ __forceinline__ void sum_row(double (&sums)[SUMS], int lanes) {
  for (int bits = min(lanes, 32) / 2; bits; bits /= 2)
#pragma unroll
    for (int k = 0; k < SUMS; ++k) sums[k] += __shfl_xor_sync(0xffffffffu, sums[k], bits);
  if (lanes <= 32) return;
  __shared__ double room[SUMS][LONGEST / 32];
  if (threadIdx.x % 32 == 0)
#pragma unroll
    for (int k = 0; k < SUMS; ++k) room[k][threadIdx.x / 32] = sums[k];
  __syncthreads();
#pragma unroll
  for (int k = 0; k < SUMS; ++k) {
    sums[k] = 0;
    for (int warp = 0; warp < lanes / 32; ++warp) sums[k] += room[k][warp];
  }
}

// y = n scale + shift, where n is the row with mean 0 and variance 1.
template <class T, int N>
__global__ void __launch_bounds__(LONGEST, 1)
    layer_norm(const T* __restrict__ x, const T* __restrict__ scale, const T* __restrict__ shift, T* __restrict__ y,
               int rows, int columns, int lanes, double portion, double epsilon) {
  const Row<N> own(rows, columns, lanes);
  x += own.first(columns), y += own.first(columns);
  const double origin = double(x[0]);
  double sums[2] = {};  // of d and d^2
#pragma unroll 4
  for (int j = own.column; j < own.end; j += own.step) {
    const auto values = tg_load<N>(x + j);
#pragma unroll
    for (int k = 0; k < N; ++k) {
      const double d = double(values.at[k]) - origin;
      sums[0] += d, sums[1] += d * d;
    }
  }
  sum_row(sums, lanes);
  const double mean = sums[0] * portion, difference = sums[1] * portion - mean * mean;
  const double inverse = rsqrt((difference < 0 ? 0 : difference) + epsilon);
#pragma unroll 2
  for (int j = own.column; j < own.end; j += own.step) {
    const auto values = tg_load<N>(x + j), scales = tg_load<N>(scale + j), shifts = tg_load<N>(shift + j);
    TgPack<T, N> result;
#pragma unroll
    for (int k = 0; k < N; ++k) {
      const double n = (double(values.at[k]) - origin - mean) * inverse;
      result.at[k] = T(n * double(scales.at[k]) + double(shifts.at[k]));
    }
    tg_store(y + j, result);
  }
}

// With g = gy scale: gx = (g - the mean of g - n the mean of g n) / s, unless gx is null. Leaves the
// mean and 1 / s of each row in `moments`, (2, rows).
template <class T, int N>
__global__ void __launch_bounds__(LONGEST, 1)
    layer_norm_grad(const T* __restrict__ x, const T* __restrict__ gy, const T* __restrict__ scale,
                    T* __restrict__ gx, double* __restrict__ moments, int rows, int columns, int lanes,
                    double portion, double epsilon) {
  const Row<N> own(rows, columns, lanes);
  x += own.first(columns), gy += own.first(columns);
  const double origin = double(x[0]);
  double sums[4] = {};  // of d, d^2, g and g d
#pragma unroll 2
  for (int j = own.column; j < own.end; j += own.step) {
    const auto values = tg_load<N>(x + j), gradients = tg_load<N>(gy + j), scales = tg_load<N>(scale + j);
#pragma unroll
    for (int k = 0; k < N; ++k) {
      const double d = double(values.at[k]) - origin, g = double(gradients.at[k]) * double(scales.at[k]);
      sums[0] += d, sums[1] += d * d, sums[2] += g, sums[3] += g * d;
    }
  }
  sum_row(sums, lanes);
  const double mean = sums[0] * portion, difference = sums[1] * portion - mean * mean;
  const double inverse = rsqrt((difference < 0 ? 0 : difference) + epsilon);
  const double mean_g = sums[2] * portion, slope = (sums[3] * portion - mean * mean_g) * inverse;
  if (own.end && own.column == 0) moments[own.row] = origin + mean, moments[rows + own.row] = inverse;
  if (!gx) return;
  gx += own.first(columns);
#pragma unroll 2
  for (int j = own.column; j < own.end; j += own.step) {
    const auto values = tg_load<N>(x + j), gradients = tg_load<N>(gy + j), scales = tg_load<N>(scale + j);
    TgPack<T, N> result;
#pragma unroll
    for (int k = 0; k < N; ++k) {
      const double n = (double(values.at[k]) - origin - mean) * inverse;
      result.at[k] = T(inverse * (double(gradients.at[k]) * double(scales.at[k]) - mean_g - n * slope));
    }
    tg_store(gx + j, result);
  }
}

// gy n and gy.
template <class T, int N> struct Weights {
  struct Item { TgPack<T, N> x, gy; double mean, inverse; };
  static constexpr int AHEAD = 2;
  const T *x, *gy;
  const double* moments;
  int rows;
  __device__ Item load(int row, unsigned place) const {
    return {tg_load<N>(x + place), tg_load<N>(gy + place), moments[row], moments[rows + row]};
  }
  __device__ void add(const Item& item, double (&sums)[2][N]) const {
#pragma unroll
    for (int k = 0; k < N; ++k) {
      const double g = double(item.gy.at[k]);
      sums[0][k] += g * ((double(item.x.at[k]) - item.mean) * item.inverse), sums[1][k] += g;
    }
  }
};

// part[share, :, column] = the sums of gy n and gy: the gradients of scale and shift.
template <class T, int N>
__global__ void __launch_bounds__(TG_BLOCK)
    layer_norm_sums(const T* __restrict__ x, const T* __restrict__ gy, const double* __restrict__ moments,
                    double* __restrict__ part, int rows, int columns, int width) {
  const TgColumns at(columns, width, N);
  const Weights<T, N> term{x + at.column, gy + at.column, moments, rows};
  tg_column_sums<N, 2>(at, term, part, rows, columns, width);
}

// y = x / sqrt(the mean of x^2 + epsilon).
template <class T, int N>
__global__ void __launch_bounds__(LONGEST, 1)
    pixel_norm(const T* __restrict__ x, T* __restrict__ y, int rows, int columns, int lanes, double portion,
               double epsilon) {
  const Row<N> own(rows, columns, lanes);
  x += own.first(columns), y += own.first(columns);
  double sums[1] = {};
#pragma unroll 4
  for (int j = own.column; j < own.end; j += own.step) {
    const auto values = tg_load<N>(x + j);
#pragma unroll
    for (int k = 0; k < N; ++k) sums[0] += double(values.at[k]) * double(values.at[k]);
  }
  sum_row(sums, lanes);
  const double inverse = rsqrt(sums[0] * portion + epsilon);
#pragma unroll 4
  for (int j = own.column; j < own.end; j += own.step) {
    const auto values = tg_load<N>(x + j);
    TgPack<T, N> result;
#pragma unroll
    for (int k = 0; k < N; ++k) result.at[k] = T(double(values.at[k]) * inverse);
    tg_store(y + j, result);
  }
}

// With s the divisor of pixel_norm: gx = gy / s - x / s^3 times the mean of gy x.
template <class T, int N>
__global__ void __launch_bounds__(LONGEST, 1)
    pixel_norm_grad(const T* __restrict__ x, const T* __restrict__ gy, T* __restrict__ gx, int rows, int columns,
                    int lanes, double portion, double epsilon) {
  const Row<N> own(rows, columns, lanes);
  x += own.first(columns), gy += own.first(columns), gx += own.first(columns);
  double sums[2] = {};  // of x^2 and gy x
#pragma unroll 2
  for (int j = own.column; j < own.end; j += own.step) {
    const auto values = tg_load<N>(x + j), gradients = tg_load<N>(gy + j);
#pragma unroll
    for (int k = 0; k < N; ++k) {
      const double value = double(values.at[k]);
      sums[0] += value * value, sums[1] += double(gradients.at[k]) * value;
    }
  }
  sum_row(sums, lanes);
  const double inverse = rsqrt(sums[0] * portion + epsilon);
  const double slope = inverse * inverse * inverse * (sums[1] * portion);
#pragma unroll 2
  for (int j = own.column; j < own.end; j += own.step) {
    const auto values = tg_load<N>(x + j), gradients = tg_load<N>(gy + j);
    TgPack<T, N> result;
#pragma unroll
    for (int k = 0; k < N; ++k)
      result.at[k] = T(inverse * double(gradients.at[k]) - slope * double(values.at[k]));
    tg_store(gx + j, result);
  }
}
