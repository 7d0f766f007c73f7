// What every kernel shares. Compiled by NVRTC this is CUDA C++; the shim brings twins of the
// inline assembly that run on the CPU, and defines SHIM.
#pragma once

#ifdef SHIM
#define DYNAMIC_SHARED(type, name) SHIM_DYNAMIC_SHARED(type, name)
#else
#define DYNAMIC_SHARED(type, name) extern __shared__ __align__(16) type name[]

// --- The only inline assembly -------------------------------------------------------------------

// Copies from global to shared memory that go on while the kernel computes. What is not `real` is
// filled with zeros: the padding of a convolution for nothing.
__device__ __forceinline__ void tg_copy_async16(void* to, const void* from, bool real) {
  unsigned shared = (unsigned)__cvta_generic_to_shared(to);
  int size = real ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(shared), "l"(from), "r"(size));
}
__device__ __forceinline__ void tg_copy_async4(void* to, const void* from, bool real) {
  unsigned shared = (unsigned)__cvta_generic_to_shared(to);
  int size = real ? 4 : 0;
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;\n" ::"r"(shared), "l"(from), "r"(size));
}
__device__ __forceinline__ void tg_copy_commit() { asm volatile("cp.async.commit_group;\n"); }
// Until at most so many of the last groups are on their way.
template <int PENDING> __device__ __forceinline__ void tg_copy_wait() {
  asm volatile("cp.async.wait_group %0;\n" ::"n"(PENDING));
}

// To the nearest number that a tensor core takes as TF32: 10 bits after the point. Which way ties
// go depends on the card.
__device__ __forceinline__ unsigned tg_tf32(float x) {
  unsigned bits;
#if __CUDA_ARCH__ >= 900
  asm("cvt.rn.tf32.f32 %0, %1;\n" : "=r"(bits) : "f"(x));  // one instruction, where the other is three
#else
  asm("cvt.rna.tf32.f32 %0, %1;\n" : "=r"(bits) : "f"(x));
#endif
  return bits;
}
// Two numbers rounded to bfloat16, the first in the lower half.
__device__ __forceinline__ unsigned tg_bf16x2(float low, float high) {
  unsigned bits;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;\n" : "=r"(bits) : "f"(high), "f"(low));
  return bits;
}

// d (16 x 8) += a (16 x 8) b (8 x 8), shared out over the lanes of a warp.
__device__ __forceinline__ void tg_mma_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
// The same with bfloat16: d (16 x 8) += a (16 x 16) b (16 x 8).
__device__ __forceinline__ void tg_mma_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#endif

// --- Threads ------------------------------------------------------------------------------------

// This thread's number in the whole launch, and the number of threads; of one-dimensional launches.
__device__ __forceinline__ int tg_first() { return int(blockIdx.x * blockDim.x + threadIdx.x); }
__device__ __forceinline__ int tg_stride() { return int(gridDim.x * blockDim.x); }

// The sum over the lanes of a warp, in every lane, always in the same order.
template <class T> __device__ __forceinline__ T tg_warp_sum(T value) {
#pragma unroll
  for (int bits = 16; bits; bits >>= 1) value += __shfl_xor_sync(0xffffffffu, value, bits);
  return value;
}

// The sum over a block of THREADS, a multiple of 32, in every thread. `room` is shared memory for
// THREADS / 32 values, which may be used again after the next barrier.
template <int THREADS, class T> __device__ __forceinline__ T tg_block_sum(T value, T* room) {
  static_assert(THREADS % 32 == 0 && THREADS <= 1024, "whole warps");
  value = tg_warp_sum(value);
  if (threadIdx.x % 32 == 0) room[threadIdx.x / 32] = value;
  __syncthreads();
  T total = T(0);
#pragma unroll
  for (int w = 0; w < THREADS / 32; ++w) total += room[w];
  return total;
}
