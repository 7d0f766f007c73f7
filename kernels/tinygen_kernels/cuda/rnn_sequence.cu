// Recurrent layers whose recurrent weights fit into the registers of a block: a row of the batch goes
// through the whole sequence in one launch, and no block waits for another.
//
// A thread has a gate of a unit, and with it up to 100 weights, which it reads once: of an LSTM of 100
// units that is all of u, 160 of a multiprocessor's 256 KB of registers (Diamos et al. 2016 keep
// weights so over the whole card, which takes a barrier across it in every step). A step is 100
// multiply-adds of each thread with what all of them read from shared memory, 25 times 16 bytes; for
// the 13 warps of such an LSTM about 400 cycles of each scheduler. With the cell and two barriers it
// is to take half a microsecond, of which a launch for each step needs more just to begin. A batch
// fills as many multiprocessors as it has rows.
#include "tg_cell.cuh"

constexpr int DEEP = 100, MOST_THREADS = 416;  // units, and the threads for 4 gates of as many
constexpr int FULL = 36;                       // of the depth that is not cut short

// The sum of weights times numbers over the first `units` of both; the rest is 0.
__device__ __forceinline__ float sum_of(const float (&weights)[DEEP], const float* numbers, int units) {
  float even = 0.f, odd = 0.f;
#pragma unroll
  for (int k = 0; k < DEEP; k += 4) {
    if (k && k % FULL == 0 && k >= units) break;
    const float4 a = *(const float4*)(numbers + k);
    even += weights[k] * a.x;
    odd += weights[k + 1] * a.y;
    even += weights[k + 2] * a.z;
    odd += weights[k + 3] * a.w;
  }
  return even + odd;
}

// Arguments as in rnn.cu, for all steps from the state h0 and, of an LSTM, c0.
__global__ void __launch_bounds__(MOST_THREADS)
    recurrent_sequence(float* gates, const float* __restrict__ u, const float* __restrict__ b,
                       const float* __restrict__ h0, const float* __restrict__ c0, const bool* __restrict__ mask,
                       float* states, float* memory, int steps, int n, int units, int cell) {
  __shared__ __align__(16) float h[DEEP];
  __shared__ float made[4][DEEP];  // gates of this step
  const int count = tg_gates(cell), columns = count * units, column = threadIdx.x, row = blockIdx.x;
  const int gate = column / units, unit = column % units;
  const bool real = column < columns, last = gate == count - 1;

  float weights[DEEP];
#pragma unroll
  for (int k = 0; k < DEEP; ++k) weights[k] = real && k < units ? u[k * columns + column] : 0.f;
  for (int k = column; k < DEEP; k += blockDim.x) {
    h[k] = k < units ? h0[row * units + k] : 0.f;
    if (k < units) states[row * units + k] = h[k];
  }
  const float bias = real ? b[column] : 0.f, recurrent_bias = real && cell == TG_GRU ? b[columns + column] : 0.f;
  float m = real && last && cell == TG_LSTM ? c0[row * units + unit] : 0.f;
  if (real && last && cell != TG_SIMPLE_RNN) memory[row * units + unit] = m;
  float z = real && steps ? gates[row * columns + column] : 0.f;
  __syncthreads();

  for (int t = 0; t < steps; ++t) {
    const int here = t * n + row;  // no array has 2^31 elements
    const float next_z = real && t + 1 < steps ? gates[(here + n) * columns + column] : 0.f;
    const bool valid = !mask || mask[here];
    const float r = sum_of(weights, h, units) + recurrent_bias;
    z += bias;
    float mine = tg_gate(cell, gate, z + r);
    if (real) made[gate][unit] = mine;
    __syncthreads();
    if (real && last) {  // the last gate's thread goes on to the cell
      float all[4] = {made[0][unit], made[1][unit], made[2][unit], made[3][unit]}, new_h, new_m;
      tg_cell_step(cell, all, z, r, h[unit], m, new_h, new_m);
      if (cell == TG_GRU) mine = all[2];
      if (valid) h[unit] = new_h, m = new_m;
      states[(here + n) * units + unit] = h[unit];
      if (cell != TG_SIMPLE_RNN) memory[(here + n) * units + unit] = m;
    }
    if (real) gates[here * columns + column] = mine;
    z = next_z;
    __syncthreads();
  }
}

// Back through all steps. `turned` is u^T; gh and gc are (n, units), the gradients of h and c after the
// last step, gh0 and gc0 those before the first. A thread has what belongs to its gate of the row of u
// of its unit, and every gate's thread works out all about its unit.
__global__ void __launch_bounds__(MOST_THREADS)
    recurrent_sequence_grad(const float* __restrict__ gates, const float* __restrict__ turned,
                            const float* __restrict__ states, const float* __restrict__ memory,
                            const bool* __restrict__ mask, const float* __restrict__ gy,
                            const float* __restrict__ gh, const float* __restrict__ gc, float* grads, float* gh0,
                            float* gc0, int steps, int n, int units, int cell) {
  // The gradients of r, parts of those of h, and what is known of the step: gates, before, memory, gy.
  __shared__ __align__(16) float room[15][DEEP];
  float(*given)[DEEP] = room, (*parts)[DEEP] = room + 4, (*known)[DEEP] = room + 8;
  const int count = tg_gates(cell), columns = count * units, column = threadIdx.x, row = blockIdx.x;
  const int gate = column / units, unit = column % units;
  const bool real = column < columns;

  // Registers are full, so what a step needs goes to shared memory, while the one before is computed.
  const auto fetch = [&](int t) {
    const int here = t * n + row, place = here * units + unit;
    const bool has_memory = cell != TG_SIMPLE_RNN;
    if (real) tg_copy_async4(&known[gate][unit], gates + here * columns + column, true);
    if (real && gate == 0) {
      tg_copy_async4(&known[4][unit], (cell == TG_GRU ? states : memory) + place, has_memory);
      tg_copy_async4(&known[5][unit], memory + place + n * units, has_memory);
      tg_copy_async4(&known[6][unit], gy + place, gy != nullptr);
    }
    tg_copy_commit();
    return !mask || mask[here];
  };

  bool valid = steps && fetch(steps - 1);
  float weights[DEEP];
#pragma unroll
  for (int k = 0; k < DEEP; ++k) weights[k] = real && k < units ? turned[(gate * units + k) * units + unit] : 0.f;
  for (int k = column; k < 8 * DEEP; k += blockDim.x) room[0][k] = 0.f;
  float g = real ? gh[row * units + unit] : 0.f, m = real && cell == TG_LSTM ? gc[row * units + unit] : 0.f;
  tg_copy_wait<0>();
  __syncthreads();

  for (int t = steps - 1; t >= 0; --t) {
    const int here = t * n + row;  // no array has 2^31 elements
    if (real) {
      const TgKnown<float> k = {{known[0][unit], known[1][unit], known[2][unit], known[3][unit]},
                                known[4][unit], known[5][unit], known[6][unit], valid};
      float gz, gr;
      g += k.gy;
      tg_cell_grad(cell, gate, k, g, m, gz, gr);
      grads[here * columns + column] = gz;
      if (cell == TG_GRU) grads[(steps * n + here) * columns + column] = gr;
      given[gate][unit] = gr;
    }
    __syncthreads();
    valid = t && fetch(t - 1);
    const float part = sum_of(weights, given[real ? gate : 0], units);
    if (real) parts[gate][unit] = part;
    tg_copy_wait<0>();
    __syncthreads();
    g += (parts[0][unit] + parts[1][unit]) + (parts[2][unit] + parts[3][unit]);
  }
  if (column < units) {  // the first gate's threads
    gh0[row * units + column] = g;
    if (cell == TG_LSTM) gc0[row * units + column] = m;
  }
}
