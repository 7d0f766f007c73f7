// Normalisation by channels of x, (groups, rows, columns); see reference/norm.py and tg_columns.cuh.
//
// Forward: moments of shares, their sums, and the result; x is read twice and y written, 12 bytes a
// number of float. Backward likewise: products of shares, their sums, and gx; 20 bytes. Memory is
// what limits them, although all is computed in double.
//
// Moments take one pass, since they are those of d = x - the group's first row. A sample is at most
// sqrt(rows) deviations away from the mean, so what is subtracted, the square of the mean of d, is
// at most `rows` times the variance: of the 16 digits of double enough remain.
#include "tg_columns.cuh"

// N neighbours of a line of numbers, in double.
template <int N> struct Line {
  double at[N];
  template <class P> __device__ Line(const P* place) {
#pragma unroll
    for (int k = 0; k < N; ++k) at[k] = double(place[k]);
  }
};

// d and d^2, where d = x - origin.
template <class T, int N> struct Moments {
  using Item = TgPack<T, N>;
  static constexpr int AHEAD = 4;
  const T* x;
  Line<N> origin;
  __device__ Item load(int, unsigned place) const { return tg_load<N>(x + place); }
  __device__ void add(const Item& values, double (&sums)[2][N]) const {
#pragma unroll
    for (int k = 0; k < N; ++k) {
      const double d = double(values.at[k]) - origin.at[k];
      sums[0][k] += d, sums[1][k] += d * d;
    }
  }
};

// gy and gy (x - mean).
template <class T, int N> struct Products {
  struct Item { TgPack<T, N> x, gy; };
  static constexpr int AHEAD = 2;
  const T *x, *gy;
  Line<N> mean;
  __device__ Item load(int, unsigned place) const {
    return {tg_load<N>(x + place), tg_load<N>(gy + place)};
  }
  __device__ void add(const Item& item, double (&sums)[2][N]) const {
#pragma unroll
    for (int k = 0; k < N; ++k) {
      const double g = double(item.gy.at[k]);
      sums[0][k] += g, sums[1][k] += g * (double(item.x.at[k]) - mean.at[k]);
    }
  }
};

template <class T, int N>
__global__ void __launch_bounds__(TG_BLOCK)
    channel_moments(const T* __restrict__ x, double* __restrict__ part, int rows, int columns, int width) {
  const TgColumns at(columns, width, N);
  x += at.first(rows, columns);
  tg_column_sums<N, 2>(at, Moments<T, N>{x, x}, part, rows, columns, width);
}

template <class T, int N>
__global__ void __launch_bounds__(TG_BLOCK)
    channel_products(const T* __restrict__ x, const T* __restrict__ gy, const double* __restrict__ mean,
                     double* __restrict__ part, int rows, int columns, int width) {
  const TgColumns at(columns, width, N);
  const Products<T, N> term{x + at.first(rows, columns), gy + at.first(rows, columns), mean + at.own(columns)};
  tg_column_sums<N, 2>(at, term, part, rows, columns, width);
}

// From the sums of all shares the lines mean, variance and slope = scale / sqrt(variance + epsilon),
// (3, groups, columns). A warp does one column of a group; scale repeats if its size is `columns`.
template <class T>
__global__ void __launch_bounds__(TG_BLOCK)
    finish_moments(const double* __restrict__ part, const T* __restrict__ x, const T* __restrict__ scale,
                   double* __restrict__ lines, int shares, int rows, int columns, int total, int scales,
                   double epsilon) {
  const int which = tg_first() / 32;  // of `total` = groups * columns
  if (which >= total) return;
  const double first = tg_add_shares(part, which, shares, 2ll * total) / rows;
  const double second = tg_add_shares(part, which + total, shares, 2ll * total) / rows;
  if (threadIdx.x % 32) return;
  const long long group = which / columns;
  const double origin = double(x[group * rows * columns + which % columns]);
  const double difference = second - first * first, variance = difference < 0 ? 0 : difference;  // NaN stays
  lines[which] = origin + first;
  lines[which + total] = variance;
  lines[which + 2ll * total] = double(scale[which % scales]) * rsqrt(variance + epsilon);
}

// From the sums of all shares, with s = sqrt(variance + epsilon), five lines: the gradients of shift
// and scale, and a = scale / s, b, c such that gx = a gy + b (x - mean) + c.
template <class T>
__global__ void __launch_bounds__(TG_BLOCK)
    finish_products(const double* __restrict__ part, const double* __restrict__ variance, const T* __restrict__ scale,
                    double* __restrict__ lines, int shares, int rows, int total, int scales, double epsilon) {
  const int which = tg_first() / 32;
  if (which >= total) return;
  const double sum = tg_add_shares(part, which, shares, 2ll * total);
  const double product = tg_add_shares(part, which + total, shares, 2ll * total);
  if (threadIdx.x % 32) return;
  const double inverse = rsqrt(variance[which] + epsilon);
  const double slope = double(scale[which % scales]) * inverse;
  lines[which] = sum;
  lines[which + total] = product * inverse;
  lines[which + 2ll * total] = slope;
  lines[which + 3ll * total] = -slope * inverse * inverse * product / rows;
  lines[which + 4ll * total] = -slope * sum / rows;
}

// y = scale (x - mean) + shift; lines of the size `columns` are for all groups.
template <class T, int N, class P>
__global__ void __launch_bounds__(TG_BLOCK)
    channel_affine(const T* __restrict__ x, const P* __restrict__ mean, const P* __restrict__ scale,
                   const T* __restrict__ shift, T* __restrict__ y, int rows, int columns, int width, int means,
                   int scales, int shifts) {
  const TgColumns at(columns, width, N);
  if (!at.real) return;
  const int own = at.own(columns);
  const Line<N> m(mean + own % means), s(scale + own % scales), b(shift + own % shifts);
  x += at.first(rows, columns), y += at.first(rows, columns);
  unsigned place = unsigned(at.row) * columns;
#pragma unroll 4
  for (int row = at.row; row < rows; row += at.step, place += unsigned(at.step) * columns) {
    const auto values = tg_load<N>(x + place);
    TgPack<T, N> result;
#pragma unroll
    for (int k = 0; k < N; ++k) result.at[k] = T(s.at[k] * (double(values.at[k]) - m.at[k]) + b.at[k]);
    tg_store(y + place, result);
  }
}

// gx = a gy + b (x - mean) + c.
template <class T, int N>
__global__ void __launch_bounds__(TG_BLOCK)
    channel_gradient(const T* __restrict__ x, const T* __restrict__ gy, const double* __restrict__ mean,
                     const double* __restrict__ lines, T* __restrict__ gx, int rows, int columns, int width) {
  const TgColumns at(columns, width, N);
  if (!at.real) return;
  const int own = at.own(columns), total = at.groups * columns;
  const Line<N> m(mean + own), a(lines + 2ll * total + own), b(lines + 3ll * total + own), c(lines + 4ll * total + own);
  x += at.first(rows, columns), gy += at.first(rows, columns), gx += at.first(rows, columns);
  unsigned place = unsigned(at.row) * columns;
#pragma unroll 2
  for (int row = at.row; row < rows; row += at.step, place += unsigned(at.step) * columns) {
    const auto values = tg_load<N>(x + place), gradients = tg_load<N>(gy + place);
    TgPack<T, N> result;
#pragma unroll
    for (int k = 0; k < N; ++k)
      result.at[k] = T(a.at[k] * double(gradients.at[k]) + (b.at[k] * (double(values.at[k]) - m.at[k]) + c.at[k]));
    tg_store(gx + place, result);
  }
}
