// A product of two matrices, a tile of it in a block: what the convolutions of conv_simt.cu share.
//
// A block makes ROWS x COLUMNS numbers and goes through the depth in slices of DEPTH. A thread makes
// TALL x WIDE of them in registers: of every number that it takes from shared memory it makes 8 or 4
// multiply-adds, so that arithmetic is the limit. While a slice is multiplied the next is on its way
// from global memory to registers; it goes to the other half of shared memory, so one barrier a slice
// is enough.
#pragma once
#include "tg_conv.cuh"

template <int ROWS_, int COLUMNS_, int DEPTH_, int TALL_, int WIDE_, bool FOURS_, int RESIDENT_> struct Tile {
  static constexpr int ROWS = ROWS_, COLUMNS = COLUMNS_, DEPTH = DEPTH_, TALL = TALL_, WIDE = WIDE_;
  static constexpr bool FOURS = FOURS_;       // serves only groups with multiples of 4 channels on both sides
  static constexpr int RESIDENT = RESIDENT_;  // blocks that a multiprocessor's registers must have room for
  static constexpr int ACROSS = COLUMNS / WIDE, THREADS = ROWS / TALL * ACROSS;
  // The numbers of a thread lie in groups of 4, the groups far apart: neighbouring threads then read
  // neighbouring groups, from different banks.
  __device__ static __forceinline__ int row(int i) {
    return i / 4 * (ROWS * 4 / TALL) + threadIdx.x / ACROSS * 4 + i % 4;
  }
  __device__ static __forceinline__ int column(int j) {
    return j / 4 * (COLUMNS * 4 / WIDE) + threadIdx.x % ACROSS * 4 + j % 4;
  }
};
using Large = Tile<128, 128, 8, 8, 8, true, 2>;      // TILES in conv_ways.py tells when each is taken
using Medium = Tile<64, 64, 16, 8, 4, false, 1>;
using Tall = Tile<128, 32, 16, 8, 4, false, 1>;
using Wide = Tile<32, 128, 16, 4, 8, false, 1>;

// A slice of a factor in shared memory, by depth. Rows of 4 more: fours that hold four depths of one
// row or column are then stored to different banks.
template <class T, int LENGTH, int DEPTH> struct Slice {
  T at[DEPTH][LENGTH + 4];
  __device__ __forceinline__ void put_along(int depth, int place, const Four<T>& four) {
    *(Four<T>*)&at[depth][place] = four;
  }
  __device__ __forceinline__ void put_down(int depth, int place, const Four<T>& four) {
#pragma unroll
    for (int v = 0; v < 4; ++v) at[depth + v][place] = four.v[v];
  }
};

template <class T, class Tile> struct Product {
  using LeftSlice = Slice<T, Tile::ROWS, Tile::DEPTH>;
  using RightSlice = Slice<T, Tile::COLUMNS, Tile::DEPTH>;
  T sum[Tile::TALL][Tile::WIDE] = {};

  // Add up so many slices. The factors have `load`, which fetches the next slice of theirs into
  // registers, and `store`, which puts it into shared memory.
  template <class Left, class Right> __device__ __forceinline__ void add(Left& left, Right& right, int slices) {
    __shared__ __align__(16) LeftSlice lefts[2];
    __shared__ __align__(16) RightSlice rights[2];
    right.load();
    left.load();
    left.store(lefts[0]);
    right.store(rights[0]);
    __syncthreads();
    for (int i = 0; i + 1 < slices; ++i) {
      right.load();
      left.load();
      multiply(lefts[i & 1], rights[i & 1]);
      left.store(lefts[~i & 1]);
      right.store(rights[~i & 1]);
      __syncthreads();
    }
    multiply(lefts[~slices & 1], rights[~slices & 1]);
  }

  __device__ __forceinline__ void multiply(const LeftSlice& left, const RightSlice& right) {
#pragma unroll
    for (int k = 0; k < Tile::DEPTH; ++k) {
      Four<T> a[Tile::TALL / 4], b[Tile::WIDE / 4];
#pragma unroll
      for (int i = 0; i < Tile::TALL; i += 4) a[i / 4] = *(const Four<T>*)&left.at[k][Tile::row(i)];
#pragma unroll
      for (int j = 0; j < Tile::WIDE; j += 4) b[j / 4] = *(const Four<T>*)&right.at[k][Tile::column(j)];
#pragma unroll
      for (int i = 0; i < Tile::TALL; ++i)
#pragma unroll
        for (int j = 0; j < Tile::WIDE; ++j) sum[i][j] += a[i / 4].v[i % 4] * b[j / 4].v[j % 4];
    }
  }

  // y = f(sum + b). `offset(row)` is where in y a row of the tile begins, negative for none; the tile's
  // first column is column `first` of `columns`. Simple activations are done in registers. Of the others
  // 64 copies would be needed, so they are done in a loop over what this thread has just written.
  template <class Offset>
  __device__ __forceinline__ void store(T* y, const T* b, Offset offset, int first, int columns, int kind,
                                        T a) {
    const bool vector = Tile::FOURS || columns % 4 == 0;
    T bias[Tile::WIDE];
#pragma unroll
    for (int j = 0; j < Tile::WIDE; ++j) {
      const int column = first + Tile::column(j);
      bias[j] = b && column < columns ? b[column] : T(0);
    }
#pragma unroll
    for (int i = 0; i < Tile::TALL; ++i) {
      const int start = offset(Tile::row(i));
      if (start < 0) continue;
#pragma unroll
      for (int j = 0; j < Tile::WIDE; j += 4) {
        const int column = first + Tile::column(j);
        Four<T> four;
#pragma unroll
        for (int v = 0; v < 4; ++v) {
          T z = sum[i][j + v] + bias[j + v];
          if (kind == TG_RELU) z = z < T(0) ? T(0) : z;
          if (kind == TG_LEAKY_RELU) z = z > T(0) ? z : a * z;
          four.v[v] = z;
        }
        if (vector && column < columns) *(Four<T>*)(y + start + column) = four;
#pragma unroll
        for (int v = 0; v < 4; ++v)
          if (!vector && column + v < columns) y[start + column + v] = four.v[v];
      }
    }
    if (kind <= TG_LEAKY_RELU) return;
#pragma unroll 1
    for (int i = 0; i < Tile::TALL; ++i) {
      const int start = offset(Tile::row(i));
#pragma unroll 1
      for (int j = 0; j < Tile::WIDE; ++j) {
        const int column = first + Tile::column(j);
        if (start >= 0 && column < columns) y[start + column] = tg_activate(y[start + column], kind, a);
      }
    }
  }
};
