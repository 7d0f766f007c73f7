// A convolution as kernels are told of it, and which pixels its results are made of.
#pragma once
#include "tg_activation.cuh"

// The fields of CONV in conv_ways.py, in the same order. Pairs are (down, across).
struct Conv {
  int images, inputs, outputs, groups;  // channels in all, of the image and of the convolution's result
  int size[2], output[2], kernel[2], stride[2];
  int before[2];  // zeros above and to the left
  int dilation[2];
  int every[2], nearer[2];  // of the transpose: stride and dilation over their greatest common divisor
};

// One direction of a convolution or of a phase of its transpose: both are the same walk over pixels.
// Result q lies at first + q * step of the image that is made. Its tap t reads the pixel
// from + q * stride + t * along, and is number tap + t * every of the kernel.
struct Line { int count, first, step, from, stride, taps, along, tap, every; };

// The transpose (BACK) makes pixel p of the image from those pixels o of the result and taps k for
// which o * stride + k * dilation = p + before. For p = phase, phase + stride, ... these are the same
// taps, `every` apart; each reads pixels that are `nearer` by so many than those of the tap before.
template <bool BACK> __device__ __forceinline__ Line tg_line(const Conv& c, int axis, int phase) {
  const int stride = c.stride[axis], dilation = c.dilation[axis], kernel = c.kernel[axis];
  if (!BACK) return {c.output[axis], 0, 1, -c.before[axis], stride, kernel, dilation, 0, 1};
  const int every = c.every[axis], place = phase + c.before[axis];
  int tap = 0;
  while (tap < every && (place - tap * dilation) % stride) ++tap;
  const int taps = tap < every && tap < kernel ? (kernel - tap + every - 1) / every : 0;
  const int count = (c.size[axis] - phase + stride - 1) / stride;
  return {count, phase, stride, (place - tap * dilation) / stride, 1, taps, -c.nearer[axis], tap, every};
}

// Both directions of one phase. A convolution that is not transposed has one phase.
template <bool BACK> struct Phase {
  Line down, across;
  __device__ __forceinline__ Phase(const Conv& c, int phase) {
    const int across_all = BACK ? min(c.stride[1], c.size[1]) : 1;
    down = tg_line<BACK>(c, 0, phase / across_all);
    across = tg_line<BACK>(c, 1, phase % across_all);
  }
  __device__ __forceinline__ int results() const { return down.count * across.count; }
  __device__ __forceinline__ int taps() const { return down.taps * across.taps; }
};

// A number in a system of mixed bases: `low` counts to `lows`, `middle` to `middles`. So a depth falls
// into tap down, tap across and channel, and the number of a pixel into image, row and column.
struct Digits {
  int low, middle, high;
  __device__ __forceinline__ Digits(int number, int lows, int middles)
      : low(number % lows), middle(number / lows % middles), high(number / lows / middles) {}
  __device__ __forceinline__ void next(int lows, int middles) {
    if (++low < lows) return;
    low = 0;
    if (++middle < middles) return;
    middle = 0;
    ++high;
  }
  __device__ __forceinline__ void advance(int by, int lows, int middles) {
    low += by;
    if (low < lows) return;
    middle += low / lows;
    low %= lows;
    if (middle < middles) return;
    high += middle / middles;
    middle %= middles;
  }
};

// Four numbers that are read and written by instructions of 128 bits.
template <class T> struct __align__(16) Four { T v[4]; };

// Four numbers from p on, of which only the first `inside` exist; the others are 0. `vector` says that
// p is a multiple of 16 bytes and all or none exist: so it is where channels are multiples of 4.
template <class T> __device__ __forceinline__ Four<T> tg_four(const T* p, int inside, bool vector) {
  Four<T> four{};
  if (vector) {
    if (inside > 0) four = *(const Four<T>*)p;
  } else {
#pragma unroll
    for (int v = 0; v < 4; ++v)
      if (v < inside) four.v[v] = p[v];
  }
  return four;
}
