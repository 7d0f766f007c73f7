// The steps of recurrent layers, forward and backward, a launch each; see reference/rnn.py.
//
// All that does not wait for the step before is one product for the whole sequence, outside. Here
// remain h u and the gates; backward the gates' gradients and their product with u^T. For a batch of
// 32 and an LSTM of 100 units that is 1.3 million multiply-adds and 160 KB of weights a step, 0.1 us
// of a card's arithmetic and less of its second-level cache: what a step costs is latency. So
//
// - a step is one launch: a block has the sums of all gates of its units, and goes on to the cell.
//   Backward, the launch of step t takes what step t + 1 left of its gates' gradients, multiplies by
//   u^T, and goes on to the gates of step t, so that is one launch too;
// - a block has ROWS rows and 8 units, so that 32 x 100 fills 52 multiprocessors, and its depth is
//   shared out among warps: each has asked for all its weights (up to 16 a thread) before it waits
//   for the first, and all go through the card's cache once. From 32 x 512 on, blocks of 16 rows are
//   enough to fill a card; 128 of them read 64 KB of weights and 32 KB of h each, 12 MB, which takes
//   the cache 2 us and arithmetic half of that;
// - each gate is activated by a lane of its own, at the same time.
#include "tg_activation.cuh"

enum Cell { SIMPLE_RNN, LSTM, GRU };  // in this order in rnn.py

constexpr int UNITS = 8, WARPS = 8, THREADS = 32 * WARPS;
constexpr int PIECES = 4;  // of a thread, in a pass over the depth

// 16 bytes of a row: what one instruction reads from shared memory.
template <class T> struct __align__(16) Piece {
  static constexpr int SIZE = 16 / sizeof(T);
  T at[SIZE];
};

__device__ __forceinline__ int gates_of(int cell) { return cell == LSTM ? 4 : cell == GRU ? 3 : 1; }

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
  const int count = gates_of(cell), columns = count * units, top = blockIdx.y * ROWS;
  const bool mine = at.unit < units && at.group < count;
  const long long step = (long long)t * n;
  const int column = at.group * units + at.unit;

  // What the cell will need is on its way while the product is computed.
  T z[ROWS / WARPS], h[ROWS / WARPS], m[ROWS / WARPS];
  int valid[ROWS / WARPS];
#pragma unroll
  for (int i = 0; i < ROWS / WARPS; ++i) {
    const int row = top + at.warp + WARPS * i;
    const bool real = mine && row < n;
    z[i] = real ? gates[(step + row) * columns + column] + b[column] : T(0);
    h[i] = real ? states[(step + row) * units + at.unit] : T(0);
    m[i] = real && cell != SIMPLE_RNN ? memory[(step + row) * units + at.unit] : T(0);
    valid[i] = !mask || row >= n || mask[step + row];
  }
  const T recurrent_bias = mine && cell == GRU ? b[columns + column] : T(0);

  T r[ROWS / WARPS];
  tile_sums<T, ROWS>(states + (step + top) * units, u, n - top, units, units, count, at, r);

#pragma unroll
  for (int i = 0; i < ROWS / WARPS; ++i) {
    const int row = top + at.warp + WARPS * i;
    const auto of = [&](T x, int gate) {  // x as the lane of that gate of the unit has it
      return __shfl_sync(0xffffffffu, x, gate * UNITS + at.lane % UNITS);
    };
    r[i] += recurrent_bias;
    T gate, new_h, new_m = T(0);
    if (cell == SIMPLE_RNN) {
      new_h = gate = tg_tanh(z[i] + r[i]);
    } else if (cell == LSTM) {
      gate = at.group == 2 ? tg_tanh(z[i] + r[i]) : tg_sigmoid(z[i] + r[i]);
      new_m = of(gate, 1) * m[i] + of(gate, 0) * of(gate, 2);
      new_h = of(gate, 3) * tg_tanh(new_m);
    } else {
      gate = tg_sigmoid(z[i] + r[i]);
      const T update = of(gate, 0), reset = of(gate, 1);
      if (at.group == 2) gate = tg_tanh(z[i] + reset * r[i]);
      new_h = update * h[i] + (T(1) - update) * of(gate, 2);
      new_m = of(r[i], 2);
    }
    if (!mine || row >= n) continue;
    gates[(step + row) * columns + column] = gate;
    if (at.group) continue;
    const long long after = (step + n + row) * units + at.unit;
    states[after] = valid[i] ? new_h : h[i];
    if (cell != SIMPLE_RNN) memory[after] = valid[i] ? new_m : m[i];
  }
}

// What the gradients of a cell depend on, but for what comes through r.
template <class T> struct Known {
  T gates[4], before, memory, gh, gm;  // `before` of an LSTM is the memory, of a GRU h
  int valid;
};

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
  const int count = gates_of(cell), columns = count * units, top = blockIdx.y * ROWS;
  const long long all = (long long)n * units, step = (long long)t * n;
  const int before = (t & 1) * int(all), after = int(all) - before;
  T* gz = grads;
  T* gr = cell == GRU ? grads + (long long)steps * n * columns : grads;

  // As before, this is on its way while the product is computed.
  Known<T> known[ROWS / WARPS];
#pragma unroll
  for (int i = 0; i < ROWS / WARPS; ++i) {
    const int row = top + at.warp + WARPS * i, here = row * units + at.unit;
    const bool real = at.unit < units && row < n, inside = real && t >= 0;
    const long long now = step * units + here;
    Known<T>& k = known[i];
#pragma unroll
    for (int gate = 0; gate < 4; ++gate) {
      const bool has = inside && gate < count;
      k.gates[gate] = has ? gates[(step + row) * columns + gate * units + at.unit] : T(0);
    }
    k.before = inside && cell != SIMPLE_RNN ? (cell == GRU ? states : memory)[now] : T(0);
    k.memory = inside && cell != SIMPLE_RNN ? memory[now + all] : T(0);
    k.gh = real ? gh[after + here] : T(0);
    if (inside && gy) k.gh += gy[now];
    k.gm = inside && cell == LSTM ? gm[after + here] : T(0);
    k.valid = !inside || !mask || mask[step + row];
  }

  T sums[ROWS / WARPS];
  const int depth = t + 1 < steps ? columns : 0;
  tile_sums<T, ROWS>(gr + (step + n + top) * columns, turned, n - top, depth, units, 1, at, sums);

  // Every group has the sums and all gates of its units, and writes what belongs to one gate.
#pragma unroll
  for (int i = 0; i < ROWS / WARPS; ++i) {
    const int row = top + at.warp + WARPS * i, here = row * units + at.unit;
    if (at.unit >= units || row >= n) continue;
    const Known<T>& k = known[i];
    const T g = k.gh + sums[i];
    T mine, recurrent, new_gh = T(0), new_gm = T(0);
    if (t < 0) {
      new_gh = g;
    } else if (cell == SIMPLE_RNN) {
      mine = recurrent = g * (T(1) - k.gates[0] * k.gates[0]);
    } else if (cell == LSTM) {
      const T in = k.gates[0], forget = k.gates[1], news = k.gates[2], out = k.gates[3];
      const T tanh_m = tg_tanh(k.memory), through = k.gm + g * out * (T(1) - tanh_m * tanh_m);
      mine = at.group == 0   ? through * news * in * (T(1) - in)
             : at.group == 1 ? through * k.before * forget * (T(1) - forget)
             : at.group == 2 ? through * in * (T(1) - news * news)
                             : g * tanh_m * out * (T(1) - out);
      recurrent = mine;
      new_gm = through * forget;
    } else {
      const T update = k.gates[0], reset = k.gates[1], news = k.gates[2];
      const T gg = g * (T(1) - update) * (T(1) - news * news);
      mine = at.group == 0   ? g * (k.before - news) * update * (T(1) - update)
             : at.group == 1 ? gg * k.memory * reset * (T(1) - reset)
                             : gg;
      recurrent = at.group == 2 ? gg * reset : mine;
      new_gh = g * update;
    }
    if (t >= 0 && at.group < count) {
      const long long place = (step + row) * columns + at.group * units + at.unit;
      gz[place] = k.valid ? mine : T(0);
      if (cell == GRU) gr[place] = k.valid ? recurrent : T(0);
    }
    if (at.group == 0) {
      gh[before + here] = k.valid ? new_gh : g;
      if (cell == LSTM && t >= 0) gm[before + here] = k.valid ? new_gm : k.gm;
    }
  }
}
