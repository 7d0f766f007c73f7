// The optimisers' updates of all parameters in one launch; see reference/optim.py. They are bound by
// memory: Adam reads 16 bytes and writes 12 for each number of float.
//
// The parameters are cut into chunks, one a block. A table tells where the arrays of each parameter
// lie and which chunks are its own, so that a bias of ten numbers costs a block and not a launch.
#include "tg_activation.cuh"

constexpr int THREADS = 256, CHUNK = 2048;

struct Parameter {
  unsigned long long arrays[4];  // addresses of what is followed, the gradient and two lists of state
  long long size, first_chunk;
};

// The part of a parameter that is this block's: `size` numbers from `start` on.
struct Chunk { Parameter of; long long start; int size; };

__device__ __forceinline__ Chunk own_chunk(const Parameter* __restrict__ table, int count) {
  __shared__ int found;
  for (int i = threadIdx.x; i < count; i += THREADS) {
    const long long chunk = blockIdx.x - table[i].first_chunk;
    if (chunk >= 0 && chunk * CHUNK < table[i].size) found = i;  // true in one thread of the block
  }
  __syncthreads();
  const Parameter of = table[found];
  const long long start = (blockIdx.x - of.first_chunk) * CHUNK;
  return {of, start, int(min(of.size - start, (long long)CHUNK))};
}

// 16 bytes of numbers: `whole` ones are read and written by one instruction, others one by one.
template <class T> struct alignas(16) Pack { T at[16 / sizeof(T)]; };

template <class T> __device__ __forceinline__ Pack<T> read(const T* x, bool whole, int count) {
  if (whole) return *(const Pack<T>*)x;
  Pack<T> pack{};
#pragma unroll
  for (int k = 0; k < int(16 / sizeof(T)); ++k)
    if (k < count) pack.at[k] = x[k];
  return pack;
}

template <class T> __device__ __forceinline__ void write(T* x, const Pack<T>& pack, bool whole, int count) {
  if (whole) {
    *(Pack<T>*)x = pack;
    return;
  }
#pragma unroll
  for (int k = 0; k < int(16 / sizeof(T)); ++k)
    if (k < count) x[k] = pack.at[k];
}

// rule(p, g, m, s) for each number of this block's chunk; m and s are there from STATES 1 and 2 on.
template <class T, int STATES, class Rule>
__device__ __forceinline__ void follow(const Parameter* table, int count, Rule rule) {
  constexpr int WIDTH = 16 / sizeof(T);
  const Chunk own = own_chunk(table, count);
  T* const p = (T*)own.of.arrays[0] + own.start;
  const T* const g = (const T*)own.of.arrays[1] + own.start;
  T* const m = (T*)own.of.arrays[2] + own.start;
  T* const s = (T*)own.of.arrays[3] + own.start;
  const bool aligned = ((own.of.arrays[0] | own.of.arrays[1] | own.of.arrays[2] | own.of.arrays[3]) & 15) == 0;
  for (int i = WIDTH * threadIdx.x; i < own.size; i += WIDTH * THREADS) {
    const int left = own.size - i;
    const bool whole = aligned && left >= WIDTH;
    Pack<T> ps = read(p + i, whole, left), ms{}, ss{};
    const Pack<T> gs = read(g + i, whole, left);
    if (STATES > 0) ms = read(m + i, whole, left);
    if (STATES > 1) ss = read(s + i, whole, left);
#pragma unroll
    for (int k = 0; k < WIDTH; ++k) rule(ps.at[k], gs.at[k], ms.at[k], ss.at[k]);
    write(p + i, ps, whole, left);
    if (STATES > 0) write(m + i, ms, whole, left);
    if (STATES > 1) write(s + i, ss, whole, left);
  }
}

// What gradients are multiplied with: a number, and one that is known to the card alone, if any.
template <class T> __device__ __forceinline__ T scaled(T scale, const T* factor) {
  return factor ? scale * *factor : scale;
}

#define UPDATE template <class T> __global__ void __launch_bounds__(THREADS)

UPDATE sgd(const Parameter* table, int count, T from_gradient, T scale, const T* factor) {
  scale = scaled(scale, factor);
  follow<T, 0>(table, count, [=](T& p, T g, T&, T&) { p += from_gradient * (scale * g); });
}

UPDATE momentum(const Parameter* table, int count, T keep, T into_velocity, T from_velocity, T from_gradient, T scale,
                const T* factor) {
  scale = scaled(scale, factor);
  follow<T, 1>(table, count, [=](T& p, T g, T& v, T&) {
    g *= scale;
    v = keep * v + into_velocity * g;
    p += from_velocity * v + from_gradient * g;
  });
}

UPDATE rmsprop(const Parameter* table, int count, T rate, T rho, T rest, T inside, T outside, T scale,
               const T* factor) {
  scale = scaled(scale, factor);
  follow<T, 1>(table, count, [=](T& p, T g, T& s, T&) {
    g *= scale;
    s = rho * s + rest * g * g;
    p -= rate * g / (tg_sqrt(s + inside) + outside);
  });
}

UPDATE adam(const Parameter* table, int count, T beta1, T rest1, T beta2, T rest2, T from_mean, T from_gradient, T root,
            T epsilon, T keep, T scale, const T* factor) {
  scale = scaled(scale, factor);
  follow<T, 2>(table, count, [=](T& p, T g, T& m, T& s) {
    g *= scale;
    m = beta1 * m + rest1 * g;
    s = beta2 * s + rest2 * g * g;
    p = keep * p - (from_mean * m + from_gradient * g) / (root * tg_sqrt(s) + epsilon);
  });
}

// Averages follow parameters, which stand where gradients do elsewhere.
UPDATE ema(const Parameter* table, int count, T rest) {
  follow<T, 0>(table, count, [=](T& average, T p, T&, T&) { average += rest * (p - average); });
}

// part[chunk] = the sum of the squares of a chunk's gradients.
UPDATE sum_of_squares(const Parameter* table, int count, double* part) {
  __shared__ double room[THREADS / 32];
  const Chunk own = own_chunk(table, count);
  const T* const g = (const T*)own.of.arrays[1] + own.start;
  double total = 0;
  for (int i = threadIdx.x; i < own.size; i += THREADS) total += double(g[i]) * double(g[i]);
  total = tg_block_sum<THREADS>(total, room);
  if (threadIdx.x == 0) part[blockIdx.x] = total;
}
