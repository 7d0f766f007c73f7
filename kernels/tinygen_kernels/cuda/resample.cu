// Images, NHWC, between a band for their rows and one for their columns; see reference/resample.py.
//
// A thread has N neighbouring channels of one output, and weighs the pixels that it is made of, rows
// times columns of them. Up to some twenty, which is all filters of image synthesis, that is bound by
// memory, since neighbours find each other's pixels in the cache; resample.py splits what is more
// into two launches, with one band each.
#include "tg_pack.cuh"

// A band as bands.py has it: output i is made of count[i] inputs from first[i] on. Without places it
// is the identity.
template <class T> struct TgBand {
  const int* places;  // first, count; for each output
  const T* weights;   // `reach` for each
  int reach;
  __device__ int first(int i) const { return places ? places[2 * i] : i; }
  __device__ int count(int i) const { return places ? places[2 * i + 1] : 1; }
  __device__ T weight(int i, int t) const { return places ? weights[(long long)i * reach + t] : T(1); }
};

constexpr int THREADS = 256, AHEAD = 4;  // pixels that are on their way at a time

struct Size { int height, width, out_height, out_width, channels; };

// y of n packs.
template <class T, int N>
__global__ void __launch_bounds__(THREADS, 4)
    resample2d(const T* __restrict__ x, T* __restrict__ y, Size size, const int* __restrict__ row_places,
               const T* __restrict__ row_weights, int row_reach, const int* __restrict__ column_places,
               const T* __restrict__ column_weights, int column_reach, int n) {
  const int own = tg_first();
  if (own >= n) return;
  const int packs = size.channels / N;
  int rest = own / packs;
  const int j = rest % size.out_width;
  rest /= size.out_width;
  const int i = rest % size.out_height, image = rest / size.out_height;
  const TgBand<T> rows{row_places, row_weights, row_reach}, columns{column_places, column_weights, column_reach};
  const int down = rows.count(i), across = columns.count(j);
  const long long line = (long long)image * size.height + rows.first(i);
  const T* corner = x + (line * size.width + columns.first(j)) * size.channels + own % packs * N;
  TgPack<T, N> sum{};
  int s = 0, t = 0;
  for (int tap = 0; tap < down * across; tap += AHEAD) {
    TgPack<T, N> values[AHEAD];
    T weights[AHEAD];
#pragma unroll
    for (int u = 0; u < AHEAD; ++u) {
      values[u] = {}, weights[u] = T(0);
      if (tap + u >= down * across) continue;
      values[u] = tg_load<N>(corner + ((long long)s * size.width + t) * size.channels);
      weights[u] = rows.weight(i, s) * columns.weight(j, t);
      if (++t == across) t = 0, ++s;
    }
#pragma unroll
    for (int u = 0; u < AHEAD; ++u)
#pragma unroll
      for (int k = 0; k < N; ++k) sum.at[k] += weights[u] * values[u].at[k];
  }
  tg_store(y + (long long)own * N, sum);
}
