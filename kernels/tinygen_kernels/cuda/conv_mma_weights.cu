// The gradient of a convolution's weights on the tensor cores: gw[tap, c, o] = the sum over pixels
// of x[pixel seen under the tap, c] gy[pixel, o]. See conv_mma.cuh for how a block multiplies.
//
// Rows are (tap, channel of x), columns channels of gy, k pixels: the result lies as w does. It is
// small and k long, so k is cut into parts, blockIdx.y, which conv_shares.cu adds.
#include "conv_mma.cuh"

// A: a row is (tap, channel), k pixels of the convolution's result (image, row, column).
template <class T> struct PixelLines : ByLines<T::ROWS> {
  static constexpr int QUADS = T::ROWS / 4, APART = T::THREADS / QUADS, EACH = DEPTH / APART;
  static_assert(T::THREADS % QUADS == 0 && DEPTH % APART == 0, "each thread copies as many");
  const float* x;
  Shape s;
  int h, w;  // of what pixel (0, 0) sees under this thread's tap
  Digits pixels[EACH], by;

  __device__ __forceinline__ PixelLines(const float* x_, const Shape& s, int first, int row)
      : x(x_), s(s), by(digits(DEPTH, s.down.written, s.across.written)) {
    const Digits tap = digits(row + threadIdx.x % QUADS * 4, s.across.taps, s.channels);
    h = tap.high < s.down.taps ? tap.high * s.down.dilation - s.down.pad : -(1 << 30);
    w = tap.middle * s.across.dilation - s.across.pad;
    x += tap.low;
#pragma unroll
    for (int i = 0; i < EACH; ++i)
      pixels[i] = digits(first + threadIdx.x / QUADS + i * APART, s.down.written, s.across.written);
  }

  __device__ __forceinline__ void load(float* tile) {
#pragma unroll
    for (int i = 0; i < EACH; ++i) {
      const Digits& pixel = pixels[i];
      const int row = pixel.middle * s.down.stride + h, column = pixel.low * s.across.stride + w;
      const bool real = pixel.high < s.images && (unsigned)row < (unsigned)s.down.read &&
                        (unsigned)column < (unsigned)s.across.read;
      const size_t seen = ((size_t)pixel.high * s.down.read + row) * s.across.read + column;
      tg_copy_async16(this->place(tile, threadIdx.x / QUADS + i * APART, threadIdx.x % QUADS * 4),
                      real ? x + seen * s.channels : x, real);
    }
  }
  __device__ __forceinline__ void next() {
#pragma unroll
    for (int i = 0; i < EACH; ++i) add(pixels[i], by, s.down.written, s.across.written);
  }
};

// It has the arguments of all convolutions, without a use for a bias and an activation.
template <class T, class P>
__global__ void __launch_bounds__(T::THREADS, (BLOCKS<T, P>))
    conv_mma_weights(const float* __restrict__ x, const float* __restrict__ gy, const float*,
                     float* __restrict__ gw, Shape s, int, float) {
  DYNAMIC_SHARED(float, shared);
  const int across = (s.columns + T::COLUMNS - 1) / T::COLUMNS;
  const int row = int(blockIdx.x) / across * T::ROWS, column = int(blockIdx.x) % across * T::COLUMNS;
  const int pixels = s.images * s.down.written * s.across.written;
  const int rows = s.down.taps * s.across.taps * s.channels;
  const Share share = share_of(pixels);
  PixelLines<T> a(x, s, share.first, row);
  MatrixLines<T> b(gy, pixels, s.pitch, share.first, column);
  float sums[T::WIDE][T::TALL][4];
  tile_product<T, P>(a, b, share.steps, shared, sums);
  auto place = [&](int r) { return row + r < rows ? row + r : -1; };
  tile_store<T>(sums, shared + T::STAGES * T::STAGE, place, column, s.columns, nullptr,
                gw + (size_t)blockIdx.y * rows * s.columns, TG_IDENTITY, 0.f);
}
