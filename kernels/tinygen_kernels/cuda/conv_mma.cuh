// Matrix products C = A B on the tensor cores, for convolutions (implicit GEMM): A and B are never
// written out, their tiles are gathered from the images.
//
// A block makes a tile of C. Its threads copy tiles of A and B, DEPTH steps of k at a time, into a
// ring of stages in shared memory (cp.async); its warps meanwhile multiply the stage that came first.
// What limits it: with large tiles the tensor cores (a stage of 128 x 128 is 16 KiB for 262,144
// multiply-adds) and the reads of shared memory that feed them, (1 / rows + 1 / columns) of a
// warp's part; with few channels the copies.
//
// In which order k is counted does not matter to a sum, so long as A and B agree. Of the four lanes
// that share a row or a column, lane p therefore takes k = 4 p .. 4 p + 3: its quad. The instructions
// compute the transpose, 16 columns of C by 8 rows: they take their second operand, here A, in pairs
// along k, which a quad is as it comes out of memory; their first would have to be moved together.
#pragma once
#include "tg_activation.cuh"

constexpr int DEPTH = 16;  // steps of k in a stage: the quads of four lanes

// A block makes ROWS x COLUMNS of C, each of its warps WARP_ROWS x WARP_COLUMNS of them.
template <int ROWS_, int COLUMNS_, int WARP_ROWS_, int WARP_COLUMNS_, int STAGES_> struct Tile {
  static constexpr int ROWS = ROWS_, COLUMNS = COLUMNS_, STAGES = STAGES_;
  static constexpr int WARP_ROWS = WARP_ROWS_, WARP_COLUMNS = WARP_COLUMNS_;
  static constexpr int WARPS_DOWN = ROWS / WARP_ROWS, WARPS_ACROSS = COLUMNS / WARP_COLUMNS;
  static constexpr int THREADS = 32 * WARPS_DOWN * WARPS_ACROSS;
  static constexpr int WIDE = WARP_COLUMNS / 16, TALL = WARP_ROWS / 8;  // instructions of a warp
  static constexpr int STAGE = (ROWS + COLUMNS) * DEPTH;                // floats
  static constexpr int PATCH = 8 * WARP_COLUMNS + 8;  // through which a warp writes its results
  static_assert(ROWS % 32 == 0 && COLUMNS % 32 == 0 && WARP_COLUMNS % 32 == 0, "swizzles need 32");
};

// --- Operands in shared memory ------------------------------------------------------------------

// [row][k], for operands that are contiguous along k. The quads of eight lanes are 128 bytes that
// lie side by side, so reads of 16 bytes meet no bank twice.
struct ByRows {
  static __device__ __forceinline__ float* place(float* tile, int row, int quad) {
    return tile + row * DEPTH + 4 * quad;
  }
  static __device__ __forceinline__ float4 quad(const float* tile, int row, int p) {
    return *(const float4*)(tile + row * DEPTH + 4 * p);
  }
};

// [k][row], for operands that are contiguous along their rows. A warp reads eight rows of four
// lines, 4 p + e for all p: rows ^ 8 p puts the four on banks of their own, and leaves the 16 bytes
// of a copy together.
template <int ROWS> struct ByLines {
  static __device__ __forceinline__ float* place(float* tile, int line, int row) {
    return tile + line * ROWS + (row ^ 8 * (line / 4));
  }
  static __device__ __forceinline__ float4 quad(const float* tile, int row, int p) {
    const float* line = tile + 4 * p * ROWS + (row ^ 8 * p);
    return make_float4(line[0], line[ROWS], line[2 * ROWS], line[3 * ROWS]);
  }
};

// --- Precisions: what a quad becomes, and how quads are multiplied -------------------------------

// d, 16 columns by 8 rows of C: `left` and `right` are of columns c and c + 8 of B, `a` of a row of A.
// Tensor cores cut a factor off after 10 bits. With ROUND they round it: it adds half of the last bit
// in the mean, between 0.35 and 0.7, so that what has 10 bits stays as it is. (Conversion to the
// nearest would cost an instruction that cannot choose its register, or three on older cards.)
struct Tf32 {
  static constexpr int PRODUCTS = 1;
  static constexpr float ROUND = 1.f + 0.3466f / 1024.f;
  unsigned bits[4];
  __device__ __forceinline__ void take(float4 q) {
    bits[0] = __float_as_uint(ROUND * q.x), bits[1] = __float_as_uint(ROUND * q.y);
    bits[2] = __float_as_uint(ROUND * q.z), bits[3] = __float_as_uint(ROUND * q.w);
  }
  static __device__ __forceinline__ void multiply(float (&d)[4], const Tf32& left, const Tf32& right,
                                                  const Tf32& a) {
#pragma unroll
    for (int e = 0; e < 4; e += 2) {
      const unsigned first[4] = {left.bits[e], right.bits[e], left.bits[e + 1], right.bits[e + 1]};
      const unsigned second[2] = {a.bits[e], a.bits[e + 1]};
      tg_mma_tf32(d, first, second);
    }
  }
};

// Every number as the sum of two of TF32, and three of the four products: nearly float32. Tensor
// cores cut their sums off instead of rounding them, so only 16 terms are left to them at a time.
struct Tf32x3 {
  static constexpr int PRODUCTS = 3;
  Tf32 high, low;
  __device__ __forceinline__ void take(float4 q) {
    const float x[4] = {q.x, q.y, q.z, q.w};
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      high.bits[e] = tg_tf32(x[e]);
      low.bits[e] = tg_tf32(x[e] - __uint_as_float(high.bits[e]));
    }
  }
  static __device__ __forceinline__ void multiply(float (&d)[4], const Tf32x3& left, const Tf32x3& right,
                                                  const Tf32x3& a) {
    float sum[4] = {0.f, 0.f, 0.f, 0.f};
    Tf32::multiply(sum, left.low, right.low, a.high);
    Tf32::multiply(sum, left.high, right.high, a.low);
    Tf32::multiply(sum, left.high, right.high, a.high);
#pragma unroll
    for (int e = 0; e < 4; ++e) d[e] += sum[e];
  }
};

struct Bf16 {
  static constexpr int PRODUCTS = 1;
  unsigned pairs[2];
  __device__ __forceinline__ void take(float4 q) {
    pairs[0] = tg_bf16x2(q.x, q.y), pairs[1] = tg_bf16x2(q.z, q.w);
  }
  static __device__ __forceinline__ void multiply(float (&d)[4], const Bf16& left, const Bf16& right,
                                                  const Bf16& a) {
    const unsigned first[4] = {left.pairs[0], right.pairs[0], left.pairs[1], right.pairs[1]};
    tg_mma_bf16(d, first, a.pairs);
  }
};

// --- The product of a block ---------------------------------------------------------------------

// So many blocks share a multiprocessor: 256 threads of up to 255 registers where a thread has 128
// sums or numbers have two parts, 384 of up to 168 elsewhere.
template <class T, class P>
constexpr int BLOCKS = (P::PRODUCTS == 3 || T::WIDE * T::TALL == 32 ? 256 : 384) / T::THREADS;

// Where a warp's part of the tile begins.
template <class T> __device__ __forceinline__ int warp_row() {
  return int(threadIdx.x) / 32 % T::WARPS_DOWN * T::WARP_ROWS;
}
template <class T> __device__ __forceinline__ int warp_column() {
  return int(threadIdx.x) / 32 / T::WARPS_DOWN * T::WARP_COLUMNS;
}

// sums = the warp's part of A B over `steps` stages; a.load(tile) and b.load(tile) start the copies
// of DEPTH steps of k, a.next() and b.next() go on to the next ones.
template <class T, class P, class A, class B>
__device__ __forceinline__ void tile_product(A& a, B& b, int steps, float* ring,
                                             float (&sums)[T::WIDE][T::TALL][4]) {
  const int lane = threadIdx.x % 32, group = lane / 4, p = lane % 4;
  const int row = warp_row<T>() + group, column = warp_column<T>() + group;
#pragma unroll
  for (int i = 0; i < T::WIDE; ++i)
#pragma unroll
    for (int j = 0; j < T::TALL; ++j)
#pragma unroll
      for (int e = 0; e < 4; ++e) sums[i][j][e] = 0.f;

  auto load = [&](int stage) {
    a.load(ring + stage * T::STAGE);
    b.load(ring + stage * T::STAGE + T::ROWS * DEPTH);
    a.next(), b.next();
  };
#pragma unroll
  for (int s = 0; s < T::STAGES - 1; ++s) {
    if (s < steps) load(s);
    tg_copy_commit();  // a group for each step, empty at the end: so waits can count
  }
  for (int step = 0; step < steps; ++step) {
    tg_copy_wait<T::STAGES - 2>();
    __syncthreads();  // all copies of this stage are there, and nobody reads the one before any more
    if (step + T::STAGES - 1 < steps) load((step + T::STAGES - 1) % T::STAGES);
    tg_copy_commit();
    const float* of_a = ring + step % T::STAGES * T::STAGE;
    const float* of_b = of_a + T::ROWS * DEPTH;
    P left[T::WIDE], right[T::WIDE];
#pragma unroll
    for (int i = 0; i < T::WIDE; ++i) {
      left[i].take(B::quad(of_b, column + 16 * i, p));
      right[i].take(B::quad(of_b, column + 16 * i + 8, p));
    }
#pragma unroll
    for (int j = 0; j < T::TALL; ++j) {
      P quad;
      quad.take(A::quad(of_a, row + 8 * j, p));
#pragma unroll
      for (int i = 0; i < T::WIDE; ++i) P::multiply(sums[i][j], left[i], right[i], quad);
    }
  }
}

// y[place(row), column] = f(sums + bias). A warp turns 8 rows at a time in shared memory of its
// own (columns ^ as above), so that it writes 128 bytes side by side and computes f in a loop.
// place(row) tells which row of y a row of the tile is, -1 for none.
template <class T, class Place>
__device__ __forceinline__ void tile_store(const float (&sums)[T::WIDE][T::TALL][4], float* patches,
                                           Place place, int first_column, int columns,
                                           const float* bias, float* y, int kind, float parameter) {
  const int lane = threadIdx.x % 32, group = lane / 4, p = lane % 4;
  float* patch = patches + threadIdx.x / 32 * T::PATCH;
  int* places = (int*)(patch + 8 * T::WARP_COLUMNS);
  first_column += warp_column<T>();
#pragma unroll
  for (int j = 0; j < T::TALL; ++j) {
#pragma unroll
    for (int i = 0; i < T::WIDE; ++i)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int row = 2 * p + e % 2, column = 16 * i + 8 * (e / 2) + group;
        patch[row * T::WARP_COLUMNS + (column ^ 8 * p)] = sums[i][j][e];
      }
    if (lane < 8) places[lane] = place(warp_row<T>() + 8 * j + lane);
    __syncwarp();
    for (int c = lane; c < T::WARP_COLUMNS; c += 32) {
      const int column = first_column + c;
      const float b = bias && column < columns ? bias[column] : 0.f;
#pragma unroll 1
      for (int row = 0; row < 8; ++row) {
        const float sum = patch[row * T::WARP_COLUMNS + (c ^ 8 * (row / 2))];
        if (places[row] >= 0 && column < columns)
          y[(size_t)places[row] * columns + column] = tg_activate(sum + b, kind, parameter);
      }
    }
    __syncwarp();
  }
}

// --- Convolutions -------------------------------------------------------------------------------

// One direction of a convolution, or of its transpose.
struct Axis {
  int read, written;  // pixels of the image that is read, and of the one whose pixels are rows
  int stride, pad, dilation, taps;
};

struct Shape {
  int images;
  int channels;  // of the image that is read
  int columns;   // channels of the result
  int pitch;     // from one row to the next of a B that is a matrix
  Axis down, across;
};

// A number of three digits, the last of which count to `middle` and `last`: a tap's row and column
// and a channel; a pixel's image, row and column. Addition needs no division.
struct Digits {
  int high, middle, low;
};
__device__ __forceinline__ Digits digits(int n, int middle, int last) {
  middle = max(middle, 1), last = max(last, 1);
  return {n / last / middle, n / last % middle, n % last};
}
__device__ __forceinline__ void add(Digits& n, const Digits& by, int middle, int last) {
  n.low += by.low;
  n.middle += by.middle;
  n.high += by.high;
  if (n.low >= last) n.low -= last, ++n.middle;
  if (n.middle >= middle) n.middle -= middle, ++n.high;
}

// The steps of k that this block has of so many: blockIdx.y counts the parts that they are cut into.
struct Share {
  int first, steps;
};
__device__ __forceinline__ Share share_of(int k) {
  const long long steps = (k + DEPTH - 1) / DEPTH;
  const int first = int(steps * blockIdx.y / gridDim.y);
  return {first * DEPTH, int(steps * (blockIdx.y + 1) / gridDim.y) - first};
}

// B as a matrix (k, columns) that lies by rows: weights, or the gradient of a result.
template <class T> struct MatrixLines : ByLines<T::COLUMNS> {
  static constexpr int QUADS = T::COLUMNS / 4, APART = T::THREADS / QUADS, EACH = DEPTH / APART;
  static_assert(T::THREADS % QUADS == 0 && DEPTH % APART == 0, "each thread copies as many");
  const float *matrix, *from;
  int pitch, left;  // lines from `from` on

  __device__ __forceinline__ MatrixLines(const float* matrix, int lines, int pitch, int line, int column)
      : matrix(matrix), pitch(pitch) {
    line += threadIdx.x / QUADS;
    column += threadIdx.x % QUADS * 4;
    from = matrix + (size_t)line * pitch + column;
    left = column < pitch ? lines - line : 0;
  }

  __device__ __forceinline__ void load(float* tile) {
#pragma unroll
    for (int i = 0; i < EACH; ++i) {
      const bool real = i * APART < left;
      tg_copy_async16(this->place(tile, threadIdx.x / QUADS + i * APART, threadIdx.x % QUADS * 4),
                      real ? from + i * APART * pitch : matrix, real);
    }
  }
  __device__ __forceinline__ void next() {
    from += DEPTH * pitch;
    left -= DEPTH;
  }
};
