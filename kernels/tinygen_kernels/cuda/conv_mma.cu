// Convolution and its transpose on the tensor cores, images (n, height, width, channels), weights
// (height, width, in, out): see conv_mma.cuh for how a block multiplies.
//
// conv2d: rows are pixels of the result, columns its channels, k = (tap, channel read); B is w as
// it lies. conv2d_transpose: the pixels of the result that are a stride apart form a phase, which
// sees some of the taps only, and always the same. A phase is a convolution without stride whose
// image is the one of k and whose weights are turned round: B's columns are w's channels in, k its
// channels out. All phases go in one launch, blockIdx.z. Where tiles are few, k is cut into parts,
// blockIdx.y, which conv_shares.cu adds.
#include "conv_mma.cuh"

// The pixels of one phase in one direction, and what they read.
struct Walk {
  int count;                // of pixels: number q lies at place + q * apart of the result
  int place, apart;
  int stride, start, step;  // under the phase's tap j it reads q * stride + start + j * step
  int taps;                 // that the phase sees: j is the kernel's tap + j * tap_step
  int tap, tap_step;
};

__device__ __forceinline__ Walk forwards(const Axis& axis) {
  return {axis.written, 0, 1, axis.stride, -axis.pad, axis.dilation, axis.taps, 0, 1};
}

// Pixel i of the convolution's image is read under tap t by pixel (i + pad - t * dilation) / stride
// of its result, if that is whole: for a phase, under every `period`th tap.
__device__ __forceinline__ Walk backwards(const Axis& axis, int phase) {
  int tap = 0, period = 1;
  while (tap < axis.taps && (phase + axis.pad - tap * axis.dilation) % axis.stride) ++tap;
  while (period * axis.dilation % axis.stride) ++period;
  const int count = phase < axis.written ? (axis.written - phase + axis.stride - 1) / axis.stride : 0;
  const int start = (phase + axis.pad - tap * axis.dilation) / axis.stride;
  const int taps = (axis.taps - tap + period - 1) / period;
  return {count, phase, axis.stride, 1, start, -(period * axis.dilation / axis.stride), taps, tap, period};
}

// A: what the pixels of a tile see, k = (row and column of the tap, channel).
template <class T> struct PixelRows : ByRows {
  static constexpr int APART = T::THREADS / 4, EACH = T::ROWS / APART;
  const float* x;
  Shape s;
  Walk down, across;
  Digits k;
  int images[EACH], h[EACH], w[EACH];  // of this thread's rows: lines before the image, first tap

  __device__ __forceinline__ PixelRows(const float* x, const Shape& s, const Walk& down,
                                       const Walk& across, int first, int row)
      : x(x), s(s), down(down), across(across),
        k(digits(first + threadIdx.x % 4 * 4, across.taps, s.channels)) {
#pragma unroll
    for (int i = 0; i < EACH; ++i) {
      const Digits pixel = digits(row + threadIdx.x / 4 + i * APART, down.count, across.count);
      const bool real = pixel.high < s.images;
      images[i] = pixel.high * s.down.read;
      h[i] = real ? pixel.middle * down.stride + down.start : -(1 << 30);  // outside whatever the tap
      w[i] = pixel.low * across.stride + across.start;
    }
  }

  __device__ __forceinline__ void load(float* tile) {
#pragma unroll
    for (int i = 0; i < EACH; ++i) {
      const int row = h[i] + k.high * down.step, column = w[i] + k.middle * across.step;
      const bool real = k.high < down.taps && (unsigned)row < (unsigned)s.down.read &&
                        (unsigned)column < (unsigned)s.across.read;
      const float* from = real ? x + ((size_t)(images[i] + row) * s.across.read + column) * s.channels + k.low : x;
      tg_copy_async16(place(tile, threadIdx.x / 4 + i * APART, threadIdx.x % 4), from, real);
    }
  }
  __device__ __forceinline__ void next() {
    for (k.low += DEPTH; k.low >= s.channels; k.low -= s.channels)
      if (++k.middle == across.taps) k.middle = 0, ++k.high;
  }
};

// B of the transpose: a column is a channel of its result, k as for its pixels.
template <class T> struct WeightRows : ByRows {
  static constexpr int APART = T::THREADS / 4, EACH = T::COLUMNS / APART;
  const PixelRows<T>& pixels;
  const float* w;
  int column;

  __device__ __forceinline__ WeightRows(const PixelRows<T>& pixels, const float* w, int column)
      : pixels(pixels), w(w), column(column + threadIdx.x / 4) {}

  __device__ __forceinline__ void load(float* tile) {
    const Walk &down = pixels.down, &across = pixels.across;
    const Digits& k = pixels.k;
    const int tap = (down.tap + k.high * down.tap_step) * pixels.s.across.taps + across.tap + k.middle * across.tap_step;
#pragma unroll
    for (int i = 0; i < EACH; ++i) {
      const int c = column + i * APART;
      const bool real = k.high < down.taps && c < pixels.s.columns;
      const float* from = real ? w + ((size_t)tap * pixels.s.columns + c) * pixels.s.channels + k.low : w;
      tg_copy_async16(place(tile, threadIdx.x / 4 + i * APART, threadIdx.x % 4), from, real);
    }
  }
  __device__ __forceinline__ void next() {}
};

// What both kernels do with their pixels and B: y, or with several parts of k the part of this block
// in y[blockIdx.y].
template <class T, class P, class B>
__device__ __forceinline__ void convolve(PixelRows<T>& a, B& b, const float* bias, float* y, int steps, int row,
                                         int column, int kind, float parameter) {
  DYNAMIC_SHARED(float, shared);
  const Shape& s = a.s;
  const Walk &down = a.down, &across = a.across;
  float sums[T::WIDE][T::TALL][4];
  tile_product<T, P>(a, b, steps, shared, sums);
  auto place = [&](int r) {
    const Digits pixel = digits(row + r, down.count, across.count);
    const int line = pixel.high * s.down.written + down.place + pixel.middle * down.apart;
    return pixel.high < s.images ? line * s.across.written + across.place + pixel.low * across.apart : -1;
  };
  if (gridDim.y > 1) {
    y += (size_t)blockIdx.y * s.images * s.down.written * s.across.written * s.columns;
    bias = nullptr, kind = TG_IDENTITY;
  }
  tile_store<T>(sums, shared + T::STAGES * T::STAGE, place, column, s.columns, bias, y, kind, parameter);
}

// Neighbouring blocks share their pixels: those come out of the L2 cache then.
template <class T> __device__ __forceinline__ int tile_row(int columns) {
  return int(blockIdx.x) / ((columns + T::COLUMNS - 1) / T::COLUMNS) * T::ROWS;
}
template <class T> __device__ __forceinline__ int tile_column(int columns) {
  return int(blockIdx.x) % ((columns + T::COLUMNS - 1) / T::COLUMNS) * T::COLUMNS;
}

// y = f(x * w + bias).
template <class T, class P>
__global__ void __launch_bounds__(T::THREADS, (BLOCKS<T, P>))
    conv_mma(const float* __restrict__ x, const float* __restrict__ w, const float* __restrict__ bias,
             float* __restrict__ y, Shape s, int kind, float parameter) {
  const int row = tile_row<T>(s.columns), column = tile_column<T>(s.columns);
  const Walk down = forwards(s.down), across = forwards(s.across);
  const int k = s.down.taps * s.across.taps * s.channels;
  const Share share = share_of(k);
  PixelRows<T> a(x, s, down, across, share.first, row);
  MatrixLines<T> b(w, k, s.pitch, share.first, column);
  convolve<T, P>(a, b, bias, y, share.steps, row, column, kind, parameter);
}

// The adjoint of x -> x * w, of an image that is called x here; then f(... + bias).
template <class T, class P>
__global__ void __launch_bounds__(T::THREADS, (BLOCKS<T, P>))
    conv_mma_transpose(const float* __restrict__ x, const float* __restrict__ w, const float* __restrict__ bias,
                       float* __restrict__ y, Shape s, int kind, float parameter) {
  const int row = tile_row<T>(s.columns), column = tile_column<T>(s.columns);
  const Walk down = backwards(s.down, blockIdx.z / s.across.stride);
  const Walk across = backwards(s.across, blockIdx.z % s.across.stride);
  if (row >= s.images * down.count * across.count) return;  // a phase that has fewer pixels
  const Share share = share_of(down.taps * across.taps * s.channels);
  PixelRows<T> a(x, s, down, across, share.first, row);
  WeightRows<T> b(a, w, column);
  convolve<T, P>(a, b, bias, y, share.steps, row, column, kind, parameter);
}
