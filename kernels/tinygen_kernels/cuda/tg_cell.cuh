// The cells of recurrent layers, a gate of a unit to a thread; see reference/rnn.py.
#pragma once
#include "tg_activation.cuh"

enum TgCell { TG_SIMPLE_RNN, TG_LSTM, TG_GRU };  // counted alike in rnn.py

__device__ __forceinline__ int tg_gates(int cell) { return cell == TG_LSTM ? 4 : cell == TG_GRU ? 3 : 1; }

// A gate after its activation; the last one of a GRU waits for the others.
template <class T> __device__ __forceinline__ T tg_gate(int cell, int gate, T x) {
  return cell == TG_SIMPLE_RNN || (cell == TG_LSTM && gate == 2) ? tg_tanh(x) : tg_sigmoid(x);
}

// The new h and memory, from the gates; of a GRU g[2] is made here, from its z and r.
template <class T>
__device__ __forceinline__ void tg_cell_step(int cell, T (&g)[4], T z, T r, T before, T memory, T& h, T& m) {
  if (cell == TG_SIMPLE_RNN) {
    h = g[0], m = T(0);
  } else if (cell == TG_LSTM) {
    m = g[1] * memory + g[0] * g[2];
    h = g[3] * tg_tanh(m);
  } else {
    g[2] = tg_tanh(z + g[1] * r);
    m = r;
    h = g[0] * before + (T(1) - g[0]) * g[2];
  }
}

// What is known of a unit at a step when gradients come back, but for that of h.
template <class T> struct TgKnown {
  T gates[4], before, memory, gy;  // before: h before the step, of an LSTM c; memory: after it
  int valid;
};

// The gradients of z and r of one gate, and of h and the memory before the step where they do not go
// through r; gh and gm are those after it. A step that is not valid leaves them as they are.
template <class T>
__device__ __forceinline__ void tg_cell_grad(int cell, int gate, const TgKnown<T>& k, T& gh, T& gm, T& gz, T& gr) {
  const T g = gh;
  if (!k.valid) {
    gz = gr = T(0);
  } else if (cell == TG_SIMPLE_RNN) {
    gz = gr = g * (T(1) - k.gates[0] * k.gates[0]);
    gh = T(0);
  } else if (cell == TG_LSTM) {
    const T in = k.gates[0], forget = k.gates[1], news = k.gates[2], out = k.gates[3];
    const T t = tg_tanh(k.memory);
    const T through = gm + g * out * (T(1) - t * t);
    gz = gate == 0   ? through * news * in * (T(1) - in)
         : gate == 1 ? through * k.before * forget * (T(1) - forget)
         : gate == 2 ? through * in * (T(1) - news * news)
                     : g * t * out * (T(1) - out);
    gr = gz;
    gh = T(0);
    gm = through * forget;
  } else {
    const T update = k.gates[0], reset = k.gates[1], news = k.gates[2];
    const T gg = g * (T(1) - update) * (T(1) - news * news);
    gz = gate == 0   ? g * (k.before - news) * update * (T(1) - update)
         : gate == 1 ? gg * k.memory * reset * (T(1) - reset)
                     : gg;
    gr = gate == 2 ? gg * reset : gz;
    gh = g * update;
  }
}
