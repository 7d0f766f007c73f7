// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): ten rounds of
// multiply and exclusive-or turn (counter, key) into four random words; see reference/random.py.
//
// A thread makes one block of four words at a time, some 100 instructions for 16 bytes: arithmetic
// and memory take about the same time.
#include "tg_common.cuh"

__device__ __forceinline__ uint4 philox(uint4 counter, unsigned key0, unsigned key1) {
#pragma unroll
  for (int round = 0; round < 10; ++round) {
    const unsigned high0 = __umulhi(0xD2511F53u, counter.x), low0 = 0xD2511F53u * counter.x;
    const unsigned high1 = __umulhi(0xCD9E8D57u, counter.z), low1 = 0xCD9E8D57u * counter.z;
    counter = make_uint4(high1 ^ counter.y ^ key0, low1, high0 ^ counter.w ^ key1, low0);
    key0 += 0x9E3779B9u;  // the golden ratio
    key1 += 0xBB67AE85u;  // sqrt(3) - 1
  }
  return counter;
}

// out[i] = word (skip + i) % 4 of the block counted by (first_block + (skip + i) / 4, counter1, 2, 3).
// The two words at `step`, if it is not null, stand for counter2 and counter3: they may change
// between two replays of a captured launch.
__global__ void random_bits(unsigned* __restrict__ out, int n, int skip, unsigned first_block, unsigned key0,
                            unsigned key1, unsigned counter1, unsigned counter2, unsigned counter3,
                            const unsigned* __restrict__ step) {
  if (step) counter2 = step[0], counter3 = step[1];
  const bool aligned = skip == 0 && (unsigned long long)out % 16 == 0;
  const long long words = (long long)skip + n;
  for (long long block = tg_first(); 4 * block < words; block += tg_stride()) {
    const uint4 four = philox(make_uint4(first_block + (unsigned)block, counter1, counter2, counter3), key0, key1);
    const long long start = 4 * block - skip;
    if (aligned && start + 4 <= n) {
      *(uint4*)(out + start) = four;
    } else {
      const unsigned word[] = {four.x, four.y, four.z, four.w};
#pragma unroll
      for (int k = 0; k < 4; ++k)
        if (start + k >= 0 && start + k < n) out[start + k] = word[k];
    }
  }
}
