// Sums down the columns of (groups, rows, columns), and other work by columns.
//
// A block has 256 threads: `width` lanes, each with N neighbouring columns, by 256 / width lines. It
// takes the rows line, line + lines, ... of one group, beginning at its share; so what a thread knows
// of its columns stays in registers, and neighbours read what lies side by side even where there are
// few columns. Sums are added up in double, by blocks and then, in a second launch, over the shares,
// each in a fixed order: the result is the same bits in every run.
#pragma once
#include "tg_pack.cuh"

constexpr int TG_BLOCK = 256;  // threads; columns.py counts alike

struct TgColumns {
  int line, group, groups, column, row, step;  // this thread has the rows row, row + step, ...
  bool real;  // threads past the last column help to add up, and stand at the first meanwhile

  __device__ TgColumns(int columns, int width, int pack) {
    const int lines = TG_BLOCK / width, tiles = (columns + width * pack - 1) / (width * pack);
    line = threadIdx.x / width;
    group = blockIdx.x / tiles, groups = gridDim.x / tiles;
    column = (blockIdx.x % tiles * width + threadIdx.x % width) * pack;
    row = blockIdx.y * lines + line, step = gridDim.y * lines;
    real = column < columns;
    column = real ? column : 0;
  }
  // Where its column begins in (groups, rows, columns), and where it is in (groups, columns).
  __device__ long long first(int rows, int columns) const { return (long long)group * rows * columns + column; }
  __device__ int own(int columns) const { return group * columns + column; }
};

// part[share, sum, group, column] = the sums of a share. A term loads what it needs of a row, which
// begins at `place` of its group, AHEAD rows at a time so that several loads are on their way, and
// adds it to the sums.
template <int N, int SUMS, class Term>
__device__ __forceinline__ void tg_column_sums(const TgColumns& at, Term term, double* __restrict__ part, int rows,
                                               int columns, int width) {
  __shared__ double room[SUMS * N][TG_BLOCK];
  double sums[SUMS][N] = {};
  const unsigned stride = unsigned(at.step) * columns;
  unsigned place = unsigned(at.row) * columns;
  int row = at.real ? at.row : rows;
  for (; row < rows - (Term::AHEAD - 1) * at.step; row += Term::AHEAD * at.step, place += Term::AHEAD * stride) {
    typename Term::Item items[Term::AHEAD];
#pragma unroll
    for (int i = 0; i < Term::AHEAD; ++i) items[i] = term.load(row + i * at.step, place + i * stride);
#pragma unroll
    for (int i = 0; i < Term::AHEAD; ++i) term.add(items[i], sums);
  }
  for (; row < rows; row += at.step, place += stride) term.add(term.load(row, place), sums);
#pragma unroll
  for (int k = 0; k < SUMS * N; ++k) room[k][threadIdx.x] = sums[k / N][k % N];
  __syncthreads();
  for (int half = TG_BLOCK / 2; half >= width; half /= 2) {  // lines in pairs
    if (threadIdx.x < half)
#pragma unroll
      for (int k = 0; k < SUMS * N; ++k) room[k][threadIdx.x] += room[k][threadIdx.x + half];
    __syncthreads();
  }
  if (at.line == 0 && at.real)
#pragma unroll
    for (int k = 0; k < SUMS * N; ++k) {
      const long long line = ((long long)blockIdx.y * SUMS + k / N) * at.groups + at.group;
      part[line * columns + at.column + k % N] = room[k][threadIdx.x];
    }
}

// The sum over the shares of one of `total` sums, which a warp adds up; in each of its lanes.
__device__ __forceinline__ double tg_add_shares(const double* __restrict__ part, int which, int shares,
                                                long long total) {
  double sum = 0;
#pragma unroll 4
  for (int share = threadIdx.x % 32; share < shares; share += 32) sum += part[share * total + which];
  return tg_warp_sum(sum);
}
