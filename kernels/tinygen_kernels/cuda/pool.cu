// The largest number of each window, and its gradient; see reference/pool.py. Images are NHWC.
//
// A thread has N neighbouring channels of one output, and goes through its window. The gradient goes
// through the windows that a pixel is in, instead of adding to pixels from windows: nothing is added
// by two threads. What limits all of them is memory; windows that overlap find each other's numbers
// in the cache.
#include "tg_pack.cuh"

constexpr int THREADS = 256, AHEAD = 4;  // pixels that are on their way at a time

struct Windows {  // pool.py lays it out alike
  int height, width, channels, out_height, out_width, kernel_height, kernel_width;
  int down, across, top, left;  // strides, and padding
  int wide;                     // whether positions in a window are int32, not uint8
};

// Which numbers thread i has: image n, row y, column x, and channels from c on, of `size` images.
template <int N> struct Place {
  int n, y, x, c;
  __device__ Place(int i, int height, int width, int channels) {
    const int packs = channels / N;
    c = i % packs * N, i /= packs;
    x = i % width, i /= width;
    y = i % height, n = i / height;
  }
};

__device__ __forceinline__ long long pixel(const Windows& g, int n, int y, int x) {
  return (((long long)n * g.height + y) * g.width + x) * g.channels;
}
__device__ __forceinline__ long long window(const Windows& g, int n, int y, int x) {
  return (((long long)n * g.out_height + y) * g.out_width + x) * g.channels;
}

template <int N>
__device__ __forceinline__ TgPack<int, N> positions(const Windows& g, const void* from, long long place) {
  if (g.wide) return tg_load<N>((const int*)from + place);
  const auto narrow = tg_load<N>((const unsigned char*)from + place);
  TgPack<int, N> wide;
#pragma unroll
  for (int k = 0; k < N; ++k) wide.at[k] = narrow.at[k];
  return wide;
}

// y and position, of n packs. The first of equal numbers, a NaN before all, padding never.
template <class T, int N>
__global__ void __launch_bounds__(THREADS)
    max_pool2d(const T* __restrict__ x, T* __restrict__ y, void* __restrict__ position, Windows g, int n) {
  const int i = tg_first();
  if (i >= n) return;
  const Place<N> own(i, g.out_height, g.out_width, g.channels);
  const int top = own.y * g.down - g.top, left = own.x * g.across - g.left;
  const int above = max(-top, 0), tall = min(g.kernel_height, g.height - top) - above;
  const int before = max(-left, 0), wide = min(g.kernel_width, g.width - left) - before;
  const int count = max(tall, 0) * max(wide, 0);  // what is not padding
  const T* corner = x + pixel(g, own.n, top + above, left + before) + own.c;
  TgPack<T, N> best{};
  TgPack<int, N> where{};
  int a = 0, b = 0;
  for (int tap = 0; tap < count; tap += AHEAD) {
    TgPack<T, N> values[AHEAD];
#pragma unroll
    for (int u = 0; u < AHEAD; ++u) {
      if (tap + u >= count) continue;
      values[u] = tg_load<N>(corner + ((long long)a * g.width + b) * g.channels);
      if (++b == wide) b = 0, ++a;
    }
#pragma unroll
    for (int u = 0; u < AHEAD; ++u) {
      if (tap + u >= count) continue;
#pragma unroll
      for (int k = 0; k < N; ++k) {
        const T value = values[u].at[k], old = best.at[k];
        if (tap + u == 0 || value > old || (value != value && old == old)) best.at[k] = value, where.at[k] = tap + u;
      }
    }
  }
  if (count)
#pragma unroll
    for (int k = 0; k < N; ++k)  // from what was counted to the window with its padding
      where.at[k] = (above + where.at[k] / wide) * g.kernel_width + before + where.at[k] % wide;
  const long long place = window(g, own.n, own.y, own.x) + own.c;
  tg_store(y + place, best);
  if (g.wide) {
    tg_store((int*)position + place, where);
  } else {
    TgPack<unsigned char, N> narrow;
#pragma unroll
    for (int k = 0; k < N; ++k) narrow.at[k] = (unsigned char)where.at[k];
    tg_store((unsigned char*)position + place, narrow);
  }
}

// gx = gy where it came from, of n packs; added up as the position in the window grows.
template <class T, int N>
__global__ void __launch_bounds__(THREADS)
    max_pool2d_grad(const T* __restrict__ gy, const void* __restrict__ position, T* __restrict__ gx,
                    Windows g, int n) {
  const int i = tg_first();
  if (i >= n) return;
  const Place<N> own(i, g.height, g.width, g.channels);
  const int y = own.y + g.top, x = own.x + g.left;  // with padding
  TgPack<T, N> sum{};
  for (int row = min(y / g.down, g.out_height - 1); row >= 0 && y - row * g.down < g.kernel_height; --row)
    for (int column = min(x / g.across, g.out_width - 1); column >= 0 && x - column * g.across < g.kernel_width;
         --column) {
      const long long place = window(g, own.n, row, column) + own.c;
      const auto gradients = tg_load<N>(gy + place);
      const auto where = positions<N>(g, position, place);
      const int here = (y - row * g.down) * g.kernel_width + x - column * g.across;
#pragma unroll
      for (int k = 0; k < N; ++k) sum.at[k] += where.at[k] == here ? gradients.at[k] : T(0);
    }
  tg_store(gx + pixel(g, own.n, own.y, own.x) + own.c, sum);
}

// y = what x has at these positions, of n packs; 0 in the padding.
template <class T, int N>
__global__ void __launch_bounds__(THREADS)
    max_pool2d_pick(const T* __restrict__ x, const void* __restrict__ position, T* __restrict__ y,
                    Windows g, int n) {
  const int i = tg_first();
  if (i >= n) return;
  const Place<N> own(i, g.out_height, g.out_width, g.channels);
  const long long place = window(g, own.n, own.y, own.x) + own.c;
  const auto where = positions<N>(g, position, place);
  TgPack<T, N> values;
#pragma unroll
  for (int k = 0; k < N; ++k) {
    const int row = own.y * g.down - g.top + where.at[k] / g.kernel_width;
    const int column = own.x * g.across - g.left + where.at[k] % g.kernel_width;
    const bool real = 0 <= row && row < g.height && 0 <= column && column < g.width;
    values.at[k] = real ? x[pixel(g, own.n, row, column) + own.c + k] : T(0);
  }
  tg_store(y + place, values);
}
