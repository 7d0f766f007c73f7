// What a .cu file expects of CUDA C++, in terms of fibers.
#pragma once
#define SHIM 1
#include <algorithm>
#include <cmath>

#include "fibers.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __shared__ static thread_local
#define __constant__ static const

#define threadIdx (shim::block->running->index)
#define blockIdx (shim::block->index)
#define blockDim (shim::block->size)
#define gridDim (shim::block->grid)

using std::max;
using std::min;

// --- Vectors ------------------------------------------------------------------------------------

#define SHIM_VECTORS(T, N)                                                    \
  struct alignas(2 * sizeof(T)) N##2 { T x, y; };                             \
  struct alignas(16) N##4 { T x, y, z, w; };                                  \
  inline N##2 make_##N##2(T x, T y) { return {x, y}; }                        \
  inline N##4 make_##N##4(T x, T y, T z, T w) { return {x, y, z, w}; }
SHIM_VECTORS(float, float)
SHIM_VECTORS(double, double)
SHIM_VECTORS(int, int)
SHIM_VECTORS(unsigned, uint)

// --- Barriers and exchanges ---------------------------------------------------------------------

inline void __syncthreads() { shim::block_barrier(); }
inline void __syncwarp(unsigned mask = ~0u) { shim::warp_barrier(mask); }
inline void __threadfence() {}

inline unsigned shim_lane() { return shim::block->running->number & 31; }

template <class T> T shim_slot(const unsigned char (*slots)[32], unsigned lane) {
  T value;
  memcpy(&value, slots[lane & 31], sizeof value);
  return value;
}
template <class T> T __shfl_sync(unsigned mask, T value, int from, int width = 32) {
  unsigned first = shim_lane() & ~(width - 1u);
  return shim_slot<T>(shim::exchange(mask, value), first | (from & (width - 1)));
}
template <class T> T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32) {
  unsigned lane = shim_lane(), from = lane ^ bits;
  auto slots = shim::exchange(mask, value);
  return shim_slot<T>(slots, from < (lane & ~(width - 1u)) + width ? from : lane);
}
template <class T> T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32) {
  unsigned lane = shim_lane();
  auto slots = shim::exchange(mask, value);
  return shim_slot<T>(slots, (lane & (width - 1)) + by < (unsigned)width ? lane + by : lane);
}
template <class T> T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32) {
  unsigned lane = shim_lane();
  auto slots = shim::exchange(mask, value);
  return shim_slot<T>(slots, (lane & (width - 1)) >= by ? lane - by : lane);
}
inline unsigned __ballot_sync(unsigned mask, int condition) {
  auto slots = shim::exchange(mask, int(condition != 0));
  unsigned votes = 0;
  for (unsigned lane = 0; lane < 32; ++lane)
    if (mask >> lane & 1) votes |= unsigned(shim_slot<int>(slots, lane)) << lane;
  return votes;
}
inline int __any_sync(unsigned mask, int condition) { return __ballot_sync(mask, condition) != 0; }
inline int __all_sync(unsigned mask, int condition) { return __ballot_sync(mask, condition) == mask; }

// --- Atomics: fibers do not run at the same time ------------------------------------------------

template <class T, class U> T atomicAdd(T* place, U value) {
  T before = *place;
  *place = before + T(value);
  return before;
}
template <class T, class U> T atomicMax(T* place, U value) {
  T before = *place;
  *place = std::max(before, T(value));
  return before;
}

// --- Loads and arithmetic -----------------------------------------------------------------------

template <class T> T __ldg(const T* place) { return *place; }
template <class T> T __ldcg(const T* place) { return *place; }
template <class T> void __stcs(T* place, T value) { *place = value; }
inline float __uint_as_float(unsigned bits) { float x; memcpy(&x, &bits, 4); return x; }
inline unsigned __float_as_uint(float x) { unsigned bits; memcpy(&bits, &x, 4); return bits; }
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned((uint64_t(a) * b) >> 32); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline float rsqrtf(float x) { return 1.f / sqrtf(x); }
inline double rsqrt(double x) { return 1. / std::sqrt(x); }
inline float rsqrt(float x) { return 1.f / sqrtf(x); }

#define SHIM_DYNAMIC_SHARED(type, name) \
  type* name = (type*)(((uintptr_t)shim::block->dynamic_shared.data() + 15) & ~(uintptr_t)15)

#include "ptx.h"
