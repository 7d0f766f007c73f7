// Convolution, its transpose and its weight gradient as products of matrices that are never laid out
// (implicit GEMM), exact in float and double. Images are (n, height, width, channels), weights
// (kernel height, kernel width, inputs of a group, outputs).
//
//            rows              columns           depth
//   forward  pixels of y       outputs           taps x inputs
//   BACK     pixels of x       inputs            taps x outputs   (in phases, see tg_conv.cuh)
//   weights  taps x inputs     outputs           pixels of y
//
// A block makes a tile (tg_tile.cuh) of one group of channels; the tiles of one set of pixels are
// neighbours in the grid, so that the pixels are still in the cache. Where tiles are too few for the
// multiprocessors, the depth is shared out too (blockIdx.y): each share writes its sums to a result of
// its own, and add_shares adds these up in their order. Multiply-adds are the limit, unless there are
// fewer than some 20 in a result; padding a tile at its edges costs most of what is lost.
#include "tg_tile.cuh"

// Which part of a product this block makes.
template <class Tile> struct Part {
  int column, group, row, phase;  // the first of its tile
  int slice = 0, slices = 0;      // of the depth
  __device__ __forceinline__ Part(int columns, int groups, int rows) {
    const int tiles_across = (columns + Tile::COLUMNS - 1) / Tile::COLUMNS;
    const int tiles_down = (rows + Tile::ROWS - 1) / Tile::ROWS;
    int block = blockIdx.x;
    column = block % tiles_across * Tile::COLUMNS, block /= tiles_across;
    group = block % groups, block /= groups;
    row = block % tiles_down * Tile::ROWS, phase = block / tiles_down;
  }
  __device__ __forceinline__ void take_share(int depth) {
    const int all = (depth + Tile::DEPTH - 1) / Tile::DEPTH, share = (all + gridDim.y - 1) / gridDim.y;
    slice = blockIdx.y * share, slices = min(all - slice, share);
  }
};

// Left factor: row by row what the taps of a pixel see, four depths in a load.
template <class T, class Tile> struct Seen {
  static constexpr int FOURS = Tile::DEPTH / 4, TOGETHER = Tile::THREADS / FOURS, LOADS = Tile::ROWS / TOGETHER;
  static constexpr int NOWHERE = -(1 << 30);
  const T* x;
  Line down, across;
  int height, width, channels, stride;  // of a group, and of all groups
  bool vector;
  Digits depth;
  int image[LOADS], top[LOADS], left[LOADS];  // where the image's channels of the group begin; tap 0
  Four<T> fours[LOADS];

  template <bool BACK>
  __device__ __forceinline__ Seen(const T* x, const Conv& c, const Phase<BACK>& phase, const Part<Tile>& part)
      : x(x), down(phase.down), across(phase.across), height(BACK ? c.output[0] : c.size[0]),
        width(BACK ? c.output[1] : c.size[1]), channels((BACK ? c.outputs : c.inputs) / c.groups),
        stride(BACK ? c.outputs : c.inputs), vector(Tile::FOURS || channels % 4 == 0),
        depth(part.slice * Tile::DEPTH + threadIdx.x % FOURS * 4, channels, across.taps) {
#pragma unroll
    for (int l = 0; l < LOADS; ++l) {
      const Digits pixel(part.row + threadIdx.x / FOURS + l * TOGETHER, across.count, down.count);
      image[l] = pixel.high * height * width * stride + part.group * channels;
      top[l] = pixel.high < c.images ? down.from + pixel.middle * down.stride : NOWHERE;
      left[l] = across.from + pixel.low * across.stride;
    }
  }
  __device__ __forceinline__ const T* find(int l, const Digits& at) const {
    const int i = top[l] + at.high * down.along, j = left[l] + at.middle * across.along;
    const bool inside = at.high < down.taps && unsigned(i) < unsigned(height) && unsigned(j) < unsigned(width);
    return inside ? x + (image[l] + (i * width + j) * stride + at.low) : nullptr;
  }
  __device__ __forceinline__ void load() {
#pragma unroll
    for (int l = 0; l < LOADS; ++l) {
      if (vector) {
        const T* p = find(l, depth);
        fours[l] = tg_four(p, p ? 4 : 0, true);
      } else {
        Digits at = depth;
#pragma unroll
        for (int v = 0; v < 4; ++v, at.next(channels, across.taps)) {
          const T* p = find(l, at);
          fours[l].v[v] = p ? *p : T(0);
        }
      }
    }
    depth.advance(Tile::DEPTH, channels, across.taps);
  }
  template <class Into> __device__ __forceinline__ void store(Into& slice) {
#pragma unroll
    for (int l = 0; l < LOADS; ++l)
      slice.put_down(threadIdx.x % FOURS * 4, threadIdx.x / FOURS + l * TOGETHER, fours[l]);
  }
};

// Right factor that lies by depth, `stride` apart: the weights of a convolution, and gy.
template <class T, class Tile> struct ByDepth {
  static constexpr int FOURS = Tile::COLUMNS / 4, TOGETHER = Tile::THREADS / FOURS, LOADS = Tile::DEPTH / TOGETHER;
  const T* w;
  int stride, end, columns, place;  // `columns` from this thread's first on
  bool vector;
  Four<T> fours[LOADS];

  __device__ __forceinline__ ByDepth(const T* w, int columns, int stride, int depth, const Part<Tile>& part)
      : w(w), stride(stride), end(depth * stride), columns(columns - part.column - threadIdx.x % FOURS * 4),
        place((part.slice * Tile::DEPTH + threadIdx.x / FOURS) * stride + part.group * columns + part.column +
              threadIdx.x % FOURS * 4),
        vector(Tile::FOURS || columns % 4 == 0) {}
  __device__ __forceinline__ void load() {
#pragma unroll
    for (int l = 0; l < LOADS; ++l, place += TOGETHER * stride)
      fours[l] = tg_four(w + place, place < end ? columns : 0, vector);
  }
  template <class Into> __device__ __forceinline__ void store(Into& slice) {
#pragma unroll
    for (int l = 0; l < LOADS; ++l)
      slice.put_along(threadIdx.x / FOURS + l * TOGETHER, threadIdx.x % FOURS * 4, fours[l]);
  }
};

// Right factor of a transpose: the weights of each column lie along the depth. How far the depth has come
// the left factor counts for both, which is loaded after this one.
template <class T, class Tile> struct ByColumn {
  static constexpr int FOURS = Tile::DEPTH / 4, TOGETHER = Tile::THREADS / FOURS, LOADS = Tile::COLUMNS / TOGETHER;
  const T* w;
  const Line &down, &across;
  int first, channels, stride, column, columns, kernel_width;
  bool vector;
  const Digits& depth;
  Four<T> fours[LOADS];

  __device__ __forceinline__ ByColumn(const T* w, const Conv& c, const Seen<T, Tile>& seen, const Part<Tile>& part)
      : w(w), down(seen.down), across(seen.across), first(part.group * seen.channels), channels(seen.channels),
        stride(c.outputs),
        column(part.column + threadIdx.x / FOURS), columns(c.inputs / c.groups), kernel_width(c.kernel[1]),
        vector(Tile::FOURS || channels % 4 == 0), depth(seen.depth) {}
  __device__ __forceinline__ int find(const Digits& at) const {
    const int tap = (down.tap + at.high * down.every) * kernel_width + across.tap + at.middle * across.every;
    return (tap * columns + column) * stride + first + at.low;
  }
  __device__ __forceinline__ void load() {
#pragma unroll
    for (int l = 0; l < LOADS; ++l) {
      const bool exists = column + l * TOGETHER < columns;
      const T* p = w + l * TOGETHER * stride;
      if (vector) {
        fours[l] = tg_four(p + find(depth), exists && depth.high < down.taps ? 4 : 0, true);
      } else {
        Digits at = depth;
#pragma unroll
        for (int v = 0; v < 4; ++v, at.next(channels, across.taps))
          fours[l].v[v] = exists && at.high < down.taps ? p[find(at)] : T(0);
      }
    }
  }
  template <class Into> __device__ __forceinline__ void store(Into& slice) {
#pragma unroll
    for (int l = 0; l < LOADS; ++l)
      slice.put_down(threadIdx.x % FOURS * 4, threadIdx.x / FOURS + l * TOGETHER, fours[l]);
  }
};

// y = f(x * w + b), or with BACK the transpose, whose x is what the convolution makes. With shares of
// the depth, y is a stack of results.
template <class T, class Tile, bool BACK>
__global__ void __launch_bounds__(Tile::THREADS, Tile::RESIDENT)
    convolve(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b, T* __restrict__ y, Conv c,
             int kind, T a) {
  const int reads = (BACK ? c.outputs : c.inputs) / c.groups, makes = BACK ? c.inputs : c.outputs;
  const int columns = makes / c.groups, height = BACK ? c.size[0] : c.output[0], width = BACK ? c.size[1] : c.output[1];
  Part<Tile> part(columns, c.groups, c.images * Phase<BACK>(c, 0).results());  // no phase has more
  const Phase<BACK> phase(c, part.phase);
  const int rows = c.images * phase.results(), depth = phase.taps() * reads;
  if (part.row >= rows) return;
  part.take_share(depth);

  Product<T, Tile> product;
  if (part.slices > 0) {
    Seen<T, Tile> seen(x, c, phase, part);
    if constexpr (BACK) {
      ByColumn<T, Tile> weights(w, c, seen, part);
      product.add(seen, weights, part.slices);
    } else {
      ByDepth<T, Tile> weights(w, columns, makes, depth, part);
      product.add(seen, weights, part.slices);
    }
  }
  auto offset = [&](int row) {
    const Digits pixel(part.row + row, phase.across.count, phase.down.count);
    const int i = phase.down.first + pixel.middle * phase.down.step;
    const int j = phase.across.first + pixel.low * phase.across.step;
    return pixel.high < c.images ? ((pixel.high * height + i) * width + j) * makes : -1;
  };
  y += (long long)blockIdx.y * c.images * height * width * makes + part.group * columns;
  if (b) b += part.group * columns;
  product.store(y, b, offset, part.column, columns, kind, a);
}

// Left factor of the weight gradient: what four neighbouring weights see, at each pixel of gy.
template <class T, class Tile> struct SeenByWeights {
  static constexpr int FOURS = Tile::ROWS / 4, TOGETHER = Tile::THREADS / FOURS, LOADS = Tile::DEPTH / TOGETHER;
  const T* x;
  const Conv& c;
  int first, channels;  // of the group
  bool vector;
  Digits weight, pixel;  // (tap down, tap across, channel), (image, row, column)
  Four<T> fours[LOADS];

  __device__ __forceinline__ SeenByWeights(const T* x, const Conv& c, const Part<Tile>& part)
      : x(x), c(c), first(part.group * (c.inputs / c.groups)), channels(c.inputs / c.groups),
        vector(Tile::FOURS || channels % 4 == 0), weight(part.row + threadIdx.x % FOURS * 4, channels, c.kernel[1]),
        pixel(part.slice * Tile::DEPTH + threadIdx.x / FOURS, c.output[1], c.output[0]) {}
  __device__ __forceinline__ const T* find(const Digits& at) const {
    const int i = pixel.middle * c.stride[0] + at.high * c.dilation[0] - c.before[0];
    const int j = pixel.low * c.stride[1] + at.middle * c.dilation[1] - c.before[1];
    const bool inside = pixel.high < c.images && at.high < c.kernel[0] && unsigned(i) < unsigned(c.size[0]) &&
                        unsigned(j) < unsigned(c.size[1]);
    return inside ? x + (((pixel.high * c.size[0] + i) * c.size[1] + j) * c.inputs + first + at.low) : nullptr;
  }
  __device__ __forceinline__ void load() {
#pragma unroll
    for (int l = 0; l < LOADS; ++l) {
      if (vector) {
        const T* p = find(weight);
        fours[l] = tg_four(p, p ? 4 : 0, true);
      } else {
        Digits at = weight;
#pragma unroll
        for (int v = 0; v < 4; ++v, at.next(channels, c.kernel[1])) {
          const T* p = find(at);
          fours[l].v[v] = p ? *p : T(0);
        }
      }
      pixel.advance(TOGETHER, c.output[1], c.output[0]);
    }
  }
  template <class Into> __device__ __forceinline__ void store(Into& slice) {
#pragma unroll
    for (int l = 0; l < LOADS; ++l)
      slice.put_along(threadIdx.x / FOURS + l * TOGETHER, threadIdx.x % FOURS * 4, fours[l]);
  }
};

// gw[tap, input, output] = the sum over pixels of what the tap sees in x, times gy.
template <class T, class Tile>
__global__ void __launch_bounds__(Tile::THREADS, Tile::RESIDENT)
    weight_grad(const T* __restrict__ x, const T* __restrict__ gy, T* __restrict__ gw, Conv c) {
  const int reads = c.inputs / c.groups, columns = c.outputs / c.groups;
  const int rows = c.kernel[0] * c.kernel[1] * reads, depth = c.images * c.output[0] * c.output[1];
  Part<Tile> part(columns, c.groups, rows);
  part.take_share(depth);
  Product<T, Tile> product;
  if (part.slices > 0) {
    SeenByWeights<T, Tile> seen(x, c, part);
    ByDepth<T, Tile> gradient(gy, columns, c.outputs, depth, part);
    product.add(seen, gradient, part.slices);
  }
  auto offset = [&](int row) { return part.row + row < rows ? (part.row + row) * c.outputs : -1; };
  gw += (long long)blockIdx.y * rows * c.outputs + part.group * columns;
  product.store(gw, (const T*)nullptr, offset, part.column, columns, TG_IDENTITY, T(0));
}

// y = f(b + the sum of the shares, one after the other); b repeats every `columns` numbers.
template <class T>
__global__ void add_shares(const T* __restrict__ shares, const T* __restrict__ b, T* __restrict__ y, int count,
                           int size, int columns, int kind, T a) {
  for (int i = tg_first(); i < size; i += tg_stride()) {
    double total = b ? double(b[i % columns]) : 0;
    for (int share = 0; share < count; ++share) total += double(shares[(long long)share * size + i]);
    y[i] = tg_activate(T(total), kind, a);
  }
}
