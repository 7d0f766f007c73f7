// Convolutions whose groups make at most 4 channels: images from features, gradients of images,
// convolutions of each channel by itself. A tile of conv_simt.cu would be almost empty. (Groups that
// read at most 4 and make many are left to the tiles: those are short, but full.)
//
// Every number that is read serves at most 4 multiply-adds, so what limits these kernels is how fast
// the first-level cache answers. Neighbouring lanes read neighbouring channels, by fours where they
// can, and a thread makes 4 pixels with each weight.
#include "tg_conv.cuh"

constexpr int FEW = 4, PIXELS = 4, THREADS = 128;  // as in conv_ways.py

// y = f(x * w + b), or with BACK the transpose. So many `lanes` (a power of two) share the depth (taps x
// channels read) of a result, VECTOR numbers at a time, and add up at the end. In w the channels that
// are read lie side by side: (kernel height, kernel width, made, read of a group) forward; BACK as it is.
template <class T, bool BACK, int VECTOR>
__global__ void __launch_bounds__(THREADS, 4)
    convolve_few(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b, T* __restrict__ y, Conv c,
                 int lanes, int kind, T a) {
  const int read = BACK ? c.outputs : c.inputs, made = BACK ? c.inputs : c.outputs;  // channels in all
  const int reads = read / c.groups, makes = made / c.groups;
  const int* size = BACK ? c.output : c.size;  // of x
  const int* result = BACK ? c.size : c.output;

  // Threads lie by (phase, pixel, group, lane). The 4 pixels of a thread are a quarter of the batch
  // apart, so that neighbouring threads have neighbouring pixels. No phase has more than the first.
  const int apart = (c.images * Phase<BACK>(c, 0).results() + PIXELS - 1) / PIXELS, together = THREADS / lanes;
  const int blocks = (apart * c.groups + together - 1) / together;
  const Phase<BACK> phase(c, blockIdx.x / blocks);
  const int place = blockIdx.x % blocks * together + threadIdx.x / lanes, lane = threadIdx.x % lanes;
  const int group = place % c.groups, first = place / c.groups;
  const bool exists = first < apart;

  int image[PIXELS], top[PIXELS], left[PIXELS];
#pragma unroll
  for (int p = 0; p < PIXELS; ++p) {
    const Digits pixel(first + p * apart, phase.across.count, phase.down.count);
    image[p] = pixel.high * size[0];
    top[p] = exists && pixel.high < c.images ? phase.down.from + pixel.middle * phase.down.stride : -(1 << 30);
    left[p] = phase.across.from + pixel.low * phase.across.stride;
  }

  T sum[PIXELS][FEW] = {};
  const int depth = phase.taps() * reads;
  if (depth) {
    Digits at(lane * VECTOR, reads, phase.across.taps);
    for (int k = lane * VECTOR; k < depth; k += lanes * VECTOR, at.advance(lanes * VECTOR, reads, phase.across.taps)) {
      const int down = phase.down.tap + at.high * phase.down.every;
      const int tap = down * c.kernel[1] + phase.across.tap + at.middle * phase.across.every;
      T seen[PIXELS][VECTOR], weight[FEW][VECTOR];
#pragma unroll
      for (int p = 0; p < PIXELS; ++p) {
        const int i = top[p] + at.high * phase.down.along, j = left[p] + at.middle * phase.across.along;
        const bool inside = unsigned(i) < unsigned(size[0]) && unsigned(j) < unsigned(size[1]);
        const T* from = x + ((image[p] + i) * size[1] + j) * read + group * reads + at.low;
        const Four<T> four = tg_four(from, inside ? VECTOR : 0, VECTOR == 4);
#pragma unroll
        for (int v = 0; v < VECTOR; ++v) seen[p][v] = four.v[v];
      }
#pragma unroll
      for (int m = 0; m < FEW; ++m) {
        const T* from = BACK ? w + (tap * makes + m) * read + group * reads + at.low
                             : w + (tap * made + group * makes + m) * reads + at.low;
        const Four<T> four = tg_four(from, m < makes ? VECTOR : 0, VECTOR == 4);
#pragma unroll
        for (int v = 0; v < VECTOR; ++v) weight[m][v] = four.v[v];
      }
#pragma unroll
      for (int p = 0; p < PIXELS; ++p)
#pragma unroll
        for (int m = 0; m < FEW; ++m)
#pragma unroll
          for (int v = 0; v < VECTOR; ++v) sum[p][m] += seen[p][v] * weight[m][v];
    }
  }

  for (int bits = lanes / 2; bits; bits /= 2)
#pragma unroll
    for (int p = 0; p < PIXELS; ++p)
#pragma unroll
      for (int m = 0; m < FEW; ++m) sum[p][m] += __shfl_xor_sync(0xffffffffu, sum[p][m], bits);

  __shared__ T kept[PIXELS][FEW][THREADS];  // registers have no numbers that a loop could count: f once, not 16 times
#pragma unroll
  for (int p = 0; p < PIXELS; ++p)
#pragma unroll
    for (int m = 0; m < FEW; ++m) kept[p][m][threadIdx.x] = sum[p][m];
  if (lane || !exists) return;
#pragma unroll 1
  for (int p = 0; p < PIXELS; ++p) {
    const Digits pixel(first + p * apart, phase.across.count, phase.down.count);
    if (pixel.high >= c.images) return;
    const int i = phase.down.first + pixel.middle * phase.down.step;
    const int j = phase.across.first + pixel.low * phase.across.step;
    T* to = y + ((pixel.high * result[0] + i) * result[1] + j) * made + group * makes;
#pragma unroll 1
    for (int m = 0; m < makes; ++m)
      to[m] = tg_activate(kept[p][m][threadIdx.x] + (b ? b[group * makes + m] : T(0)), kind, a);
  }
}

// Shares of the weight gradient of groups with few outputs. A block takes 32 pairs of tap and input,
// and of the pixels the share of blockIdx.y; its LINES take turns at these.
constexpr int LINES = 8;

template <class T>
__global__ void __launch_bounds__(32 * LINES)
    weight_grad_few(const T* __restrict__ x, const T* __restrict__ gy, T* __restrict__ shares, Conv c) {
  __shared__ T kept[FEW][LINES][32];
  const int reads = c.inputs / c.groups, makes = c.outputs / c.groups;
  const int lane = threadIdx.x % 32, line = threadIdx.x / 32;
  const Digits weight(blockIdx.x * 32 + lane, c.inputs, c.kernel[1]);  // tap down, tap across, input
  const int group = weight.low / reads, pixels = c.images * c.output[0] * c.output[1];
  const int share = (pixels + gridDim.y - 1) / gridDim.y, end = min((int(blockIdx.y) + 1) * share, pixels);

  T sum[FEW] = {};
  if (weight.high < c.kernel[0]) {
    const int height = c.output[0], width = c.output[1], first = blockIdx.y * share + line;
    Digits at(first, width, height);
    for (int pixel = first; pixel < end; pixel += LINES, at.advance(LINES, width, height)) {
      const int i = at.middle * c.stride[0] + weight.high * c.dilation[0] - c.before[0];
      const int j = at.low * c.stride[1] + weight.middle * c.dilation[1] - c.before[1];
      const bool inside = unsigned(i) < unsigned(c.size[0]) && unsigned(j) < unsigned(c.size[1]);
      const T seen = inside ? x[((at.high * c.size[0] + i) * c.size[1] + j) * c.inputs + weight.low] : T(0);
#pragma unroll
      for (int m = 0; m < FEW; ++m)
        if (m < makes) sum[m] += seen * gy[pixel * c.outputs + group * makes + m];
    }
  }
#pragma unroll
  for (int m = 0; m < FEW; ++m) kept[m][line][lane] = sum[m];
  __syncthreads();
  if (line >= makes || weight.high >= c.kernel[0]) return;
  double total = 0;
  for (int l = 0; l < LINES; ++l) total += double(kept[line][l][lane]);
  const int tap = weight.high * c.kernel[1] + weight.middle, weights = c.kernel[0] * c.kernel[1] * reads * c.outputs;
  shares[(long long)blockIdx.y * weights + (tap * reads + weight.low % reads) * c.outputs + group * makes + line] =
      T(total);
}
