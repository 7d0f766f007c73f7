// Activations element by element: bound by memory, so each reads and writes every number once.
#include "tg_activation.cuh"

// y = f(x + b), b repeating every `columns` elements; x may be y, b may be null.
template <class T>
__global__ void activate(const T* x, const T* b, T* y, int n, int columns, int kind, T a) {
  for (int i = tg_first(); i < n; i += tg_stride()) {
    T z = b ? x[i] + b[i % columns] : x[i];
    y[i] = tg_activate(z, kind, a);
  }
}

// gx = gy f'(x), told from y = f(x).
template <class T>
__global__ void activation_grad(const T* __restrict__ y, const T* __restrict__ gy, T* __restrict__ gx,
                                int n, int kind, T a) {
  for (int i = tg_first(); i < n; i += tg_stride()) gx[i] = gy[i] * tg_activation_slope(y[i], kind, a);
}

template <class T> __global__ void error_function(const T* __restrict__ x, T* __restrict__ y, int n) {
  for (int i = tg_first(); i < n; i += tg_stride()) y[i] = erf(x[i]);
}
