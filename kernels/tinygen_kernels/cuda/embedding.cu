// The gradient of a table look-up: rows added where they came from; see reference/embedding.py.
//
// A warp has one row of the table and 32 N of its columns. It looks through the indices, 32 at a time,
// and adds what is meant for its row in their order, in double: no two threads add to the same number.
// Warps of a block share the indices, which they find in the cache. What limits this is reading them
// for each row of the table; of small tables the indices are cut into shares, to have enough warps.
#include "tg_pack.cuh"

constexpr int AHEAD = 4;  // rows that are on their way at a time

// y, or part[share] of it if y is null, (rows, columns); a share has `span` indices.
template <class T, int N>
__global__ void add_rows(const T* __restrict__ x, const long long* __restrict__ indices, T* __restrict__ y,
                         double* __restrict__ part, int size, int span, int rows, int columns) {
  const int lane = threadIdx.x % 32, warp = tg_first() / 32, tiles = (columns + 32 * N - 1) / (32 * N);
  const int row = warp / tiles, column = (warp % tiles * 32 + lane) * N;
  if (row >= rows) return;  // a whole warp
  const int start = blockIdx.y * span, stop = min(size - start, span);
  double sum[N] = {};
  for (int i = 0; i < stop; i += 32) {
    const bool mine = i + lane < stop && indices[start + i + lane] == row;
    unsigned found = __ballot_sync(0xffffffffu, mine);
    while (found) {
      TgPack<T, N> values[AHEAD];
#pragma unroll
      for (int u = 0; u < AHEAD; ++u, found &= found - 1) {
        values[u] = {};
        if (!found || column >= columns) continue;
        values[u] = tg_load<N>(x + (long long)(start + i + __ffs(found) - 1) * columns + column);
      }
#pragma unroll
      for (int u = 0; u < AHEAD; ++u)
#pragma unroll
        for (int k = 0; k < N; ++k) sum[k] += double(values[u].at[k]);
    }
  }
  if (column >= columns) return;
  const long long place = (long long)row * columns + column;
#pragma unroll
  for (int k = 0; k < N; ++k)
    if (y) y[place + k] = T(sum[k]);
    else part[(long long)blockIdx.y * rows * columns + place + k] = sum[k];
}
