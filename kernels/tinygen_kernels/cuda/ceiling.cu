// The ceiling of the tensor cores: nothing but mma.sync, on registers, with eight sums in a warp, so
// that none waits for the one before.
#include "tg_common.cuh"

__global__ void mma_loop(float* out, int repeats) {
  float d[8][4] = {};
  unsigned a[4], b[2];
  for (int i = 0; i < 4; ++i) a[i] = tg_tf32(1.f + threadIdx.x % 7);
  for (int i = 0; i < 2; ++i) b[i] = tg_tf32(1e-3f * (threadIdx.x % 5));
  for (int r = 0; r < repeats; ++r) {
#pragma unroll
    for (int i = 0; i < 8; ++i) tg_mma_tf32(d[i], a, b);
  }
  float total = 0;
  for (int i = 0; i < 8; ++i)
    for (int j = 0; j < 4; ++j) total += d[i][j];
  out[tg_first()] = total;
}
