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

struct Size { int height, width, out_height, out_width, channels; };

// y of n packs.
template <class T, int N>
__global__ void resample2d(const T* __restrict__ x, T* __restrict__ y, Size size, const int* __restrict__ row_places,
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
  const T* corner = x + (((long long)image * size.height + rows.first(i)) * size.width + columns.first(j)) * size.channels +
                    own % packs * N;
  TgPack<T, N> sum{};
  for (int s = 0; s < down; ++s) {
    TgPack<T, N> line{};
    const T* place = corner + (long long)s * size.width * size.channels;
#pragma unroll 4
    for (int t = 0; t < across; ++t) {
      const auto values = tg_load<N>(place + (long long)t * size.channels);
      const T weight = columns.weight(j, t);
#pragma unroll
      for (int k = 0; k < N; ++k) line.at[k] += weight * values.at[k];
    }
    const T weight = rows.weight(i, s);
#pragma unroll
    for (int k = 0; k < N; ++k) sum.at[k] += weight * line.at[k];
  }
  tg_store(y + (long long)own * N, sum);
}
