// The steps of recurrent layers, forward and backward, a launch each; see reference/rnn.py. Layers
// whose weights fit into registers go another way: rnn_sequence.cu.
//
// What does not wait for the step before is one product for the whole sequence, outside. Here remain
// h u and the gates; backward, the gates' gradients and their product with u^T. For a batch of 32 and
// an LSTM of 128 units that is 2 million multiply-adds and 256 KB of weights a step: 0.1 us of a card's
// arithmetic, and not more of its second-level cache. What a step costs is latency, so
//
// - a step is one launch: a block has the sums of all gates of its units, and goes on to the cell.
//   Backward, the launch of step t takes what step t + 1 left of its gates' gradients, multiplies by
//   u^T, and goes on to the gates of step t, so that is one launch too;
// - a block has 8 rows and 8 units, so that 32 x 128 gives work to 64 multiprocessors, and its depth
//   is shared out among the warps. A thread has asked for its weights (up to 16 at a time), and for
//   all that the cell will need, before it waits for the first: the cache answers once;
// - each gate is activated by a lane of its own, at the same time.
//
// From 32 x 512 on, blocks of 16 rows are enough for a card: 128 of them read 64 KB of weights and
// 32 KB of h each. These 12 MB take the cache 2 us, and arithmetic half of that.
#include "tg_cell.cuh"

constexpr int UNITS = 8, WARPS = 8, THREADS = 32 * WARPS;
constexpr int PIECES = 4;  // of a thread, in a pass over the depth

// 16 bytes of a row: what one instruction reads from shared memory.
template <class T> struct __align__(16) Piece {
  static constexpr int SIZE = 16 / sizeof(T);
  T at[SIZE];
};

// Which part of the work is this thread's. A warp's lanes are four groups of 8 units. Where there are
// several gates, each group has one of them; else each has a share of the depth.
struct Place {
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32, group = lane / UNITS;
  int unit = blockIdx.x * UNITS + lane % UNITS;
};

template <class T> __device__ __forceinline__ void copy_async(T* to, const T* from, bool real) {
#pragma unroll
  for (int i = 0; i < int(sizeof(T) / 4); ++i) tg_copy_async4((float*)to + i, (const float*)from + i, real);
}

// The sums of a tile: sums[i] = a[row] b[:, column] for the row `warp + 8 i` of ROWS rows of a
// (rows, depth) and the thread's column, that of its unit and, if there are several gates, its gate.
// b is (depth, gates units).
//
// Threads of equal column share out the depth in pieces, one after the other, then add up what each
// has, always in the same order.
template <class T, int ROWS>
__device__ __forceinline__ void tile_sums(const T* a, const T* __restrict__ b, int rows, int depth, int units,
                                          int gates, const Place& at, T (&sums)[ROWS / WARPS]) {
  constexpr int SIZE = Piece<T>::SIZE, WIDTH = 32 * PIECES * SIZE;  // of a pass, at most
  __shared__ Piece<T> kept[ROWS * WIDTH / SIZE];
  static_assert(sizeof(kept) >= WARPS * ROWS * 32 * sizeof(T), "the sums take the same place later");
  T* room = kept[0].at;

  const int shares = gates > 1 ? WARPS : 4 * WARPS, share = gates > 1 ? at.warp : at.warp * 4 + at.group;
  const int columns = gates * units, column = (gates > 1 ? at.group * units : 0) + at.unit;
  const bool real = at.unit < units && (gates == 1 || at.group < gates);
  const int width = shares * PIECES * SIZE;

  T total[ROWS] = {};
  for (int start = 0; start < depth; start += width) {
    T weights[PIECES][SIZE];
#pragma unroll
    for (int p = 0; p < PIECES; ++p)
#pragma unroll
      for (int j = 0; j < SIZE; ++j) {
        const int k = start + (share + p * shares) * SIZE + j;
        weights[p][j] = real && k < depth ? b[(long long)k * columns + column] : T(0);
      }
    const int filled = min(width, (depth - start + SIZE - 1) / SIZE * SIZE);  // whole pieces
    for (int i = at.lane; i < filled; i += 32)
#pragma unroll
      for (int row = at.warp; row < ROWS; row += WARPS) {
        const bool real = row < rows && start + i < depth;
        copy_async(room + row * WIDTH + i, a + (long long)row * depth + start + i, real);
      }
    tg_copy_commit();
    tg_copy_wait<0>();
    __syncthreads();
#pragma unroll
    for (int p = 0; p < PIECES; ++p) {
      if ((share + p * shares) * SIZE >= filled) break;
#pragma unroll
      for (int row = 0; row < ROWS; ++row) {
        const Piece<T> piece = kept[row * (WIDTH / SIZE) + share + p * shares];
#pragma unroll
        for (int j = 0; j < SIZE; ++j) total[row] += weights[p][j] * piece.at[j];
      }
    }
    __syncthreads();
  }

#pragma unroll
  for (int row = 0; row < ROWS; ++row) room[(at.warp * ROWS + row) * 32 + at.lane] = total[row];
  __syncthreads();
#pragma unroll
  for (int i = 0; i < ROWS / WARPS; ++i) {
    T sum = T(0);
#pragma unroll
    for (int w = 0; w < WARPS; ++w) sum += room[(w * ROWS + at.warp + WARPS * i) * 32 + at.lane];
    if (gates == 1) {
      sum += __shfl_xor_sync(0xffffffffu, sum, 8);
      sum += __shfl_xor_sync(0xffffffffu, sum, 16);
    }
    sums[i] = sum;
  }
}

// Step t: states[t + 1] and memory[t + 1] from states[t] and memory[t]. `gates` holds x w and gets
// the gates; b is (1 or 2, gates units), the mask (steps, n) or null.
template <class T, int ROWS>
__global__ void __launch_bounds__(THREADS)
    recurrent_step(T* gates, const T* __restrict__ u, const T* __restrict__ b, T* states, T* memory,
                   const bool* __restrict__ mask, int t, int n, int units, int cell) {
  const Place at;
  const int count = tg_gates(cell), columns = count * units, top = blockIdx.y * ROWS;
  const int column = at.group * units + at.unit;
  const bool mine = at.unit < units && at.group < count;
  const long long step = (long long)t * n;

  // What the cell will need is on its way while the product is computed.
  T z[ROWS / WARPS], h[ROWS / WARPS], m[ROWS / WARPS];
  int valid[ROWS / WARPS];
#pragma unroll
  for (int i = 0; i < ROWS / WARPS; ++i) {
    const int row = top + at.warp + WARPS * i;
    const bool real = mine && row < n;
    z[i] = real ? gates[(step + row) * columns + column] + b[column] : T(0);
    h[i] = real ? states[(step + row) * units + at.unit] : T(0);
    m[i] = real && cell != TG_SIMPLE_RNN ? memory[(step + row) * units + at.unit] : T(0);
    valid[i] = !mask || row >= n || mask[step + row];
  }
  const T recurrent_bias = mine && cell == TG_GRU ? b[columns + column] : T(0);

  T r[ROWS / WARPS];
  tile_sums<T, ROWS>(states + (step + top) * units, u, n - top, units, units, count, at, r);

#pragma unroll
  for (int i = 0; i < ROWS / WARPS; ++i) {
    const int row = top + at.warp + WARPS * i;
    r[i] += recurrent_bias;
    T gate = tg_gate(cell, at.group, z[i] + r[i]), all[4], new_h, new_m;
#pragma unroll
    for (int k = 0; k < 4; ++k) all[k] = __shfl_sync(0xffffffffu, gate, k * UNITS + at.lane % UNITS);
    if (!mine || row >= n) continue;
    if (at.group == count - 1) {  // the last gate's lane goes on to the cell
      tg_cell_step(cell, all, z[i], r[i], h[i], m[i], new_h, new_m);
      if (cell == TG_GRU) gate = all[2];
      const long long after = (step + n + row) * units + at.unit;
      states[after] = valid[i] ? new_h : h[i];
      if (cell != TG_SIMPLE_RNN) memory[after] = valid[i] ? new_m : m[i];
    }
    gates[(step + row) * columns + column] = gate;
  }
}

// It is all 0 where there is no such unit. Steps have `rows` rows, and `row` counts those of all
// steps; gy and mask may be null.
template <class T>
__device__ __forceinline__ TgKnown<T> known_of(int cell, bool real, const T* gates, const T* states,
                                               const T* memory, const T* gy, const bool* mask, long long row,
                                               int rows, int units, int unit) {
  const int count = tg_gates(cell);
  const long long place = row * units + unit;
  const bool has_memory = real && cell != TG_SIMPLE_RNN;
  TgKnown<T> k;
#pragma unroll
  for (int i = 0; i < 4; ++i) k.gates[i] = real && i < count ? gates[(row * count + i) * units + unit] : T(0);
  k.before = has_memory ? (cell == TG_GRU ? states : memory)[place] : T(0);
  k.memory = has_memory ? memory[place + (long long)rows * units] : T(0);
  k.gy = real && gy ? gy[place] : T(0);
  k.valid = !real || !mask || mask[row];
  return k;
}

// Back through step t: the gradients of its z and r, from those of step t + 1. `grads` is (1, or 2
// of a GRU; steps, n, gates units), `turned` u^T, gy (steps, n, units) or null. gh and gm are (2, n,
// units): half t % 2 gets the gradients of h and c before step t, as far as they do not go through
// r; the other half has those after it. With t = -1 it is the gradient of the state at the start.
template <class T, int ROWS>
__global__ void __launch_bounds__(THREADS)
    recurrent_step_grad(const T* __restrict__ gates, const T* __restrict__ turned,
                        const T* __restrict__ states, const T* __restrict__ memory,
                        const bool* __restrict__ mask, const T* __restrict__ gy, T* gh, T* gm, T* grads, int t,
                        int steps, int n, int units, int cell) {
  const Place at;
  const int count = tg_gates(cell), columns = count * units, top = blockIdx.y * ROWS;
  const int before = (t & 1) * n * units, after = n * units - before;
  const long long step = (long long)t * n;
  T* gr = cell == TG_GRU ? grads + (long long)steps * n * columns : grads;

  // As before, this is on its way while the product is computed.
  TgKnown<T> known[ROWS / WARPS];
  T g[ROWS / WARPS], m[ROWS / WARPS];
#pragma unroll
  for (int i = 0; i < ROWS / WARPS; ++i) {
    const int row = top + at.warp + WARPS * i, here = row * units + at.unit;
    const bool real = at.unit < units && row < n;
    known[i] = known_of(cell, real && t >= 0, gates, states, memory, gy, mask, step + row, n, units, at.unit);
    g[i] = real ? gh[after + here] : T(0);
    m[i] = real && cell == TG_LSTM ? gm[after + here] : T(0);
  }

  T sums[ROWS / WARPS];
  const int depth = t + 1 < steps ? columns : 0;
  tile_sums<T, ROWS>(gr + (step + n + top) * columns, turned, n - top, depth, units, 1, at, sums);

  // Every group has the sums and all gates of its units, and writes what belongs to one gate.
#pragma unroll
  for (int i = 0; i < ROWS / WARPS; ++i) {
    const int row = top + at.warp + WARPS * i, here = row * units + at.unit;
    if (at.unit >= units || row >= n) continue;
    g[i] += sums[i] + known[i].gy;
    if (t >= 0) {
      T gz, own_gr;
      tg_cell_grad(cell, at.group, known[i], g[i], m[i], gz, own_gr);
      if (at.group < count) {
        const long long place = (step + row) * columns + at.group * units + at.unit;
        grads[place] = gz;
        if (cell == TG_GRU) gr[place] = own_gr;
      }
    }
    if (at.group == 0) {
      gh[before + here] = g[i];
      if (cell == TG_LSTM && t >= 0) gm[before + here] = m[i];
    }
  }
}
