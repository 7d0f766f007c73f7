// Losses of single elements, their sum and their derivatives; see reference/loss.py. All are bound by
// memory. A block adds up its elements in double, the sums of all blocks are added by `add_all`.
#include "tg_activation.cuh"

enum Loss { MSE, BINARY_CROSS_ENTROPY, BINARY_CROSS_ENTROPY_WITH_LOGITS, HUBER, HINGE };

constexpr int THREADS = 256;

// A probability kept `limit` away from 0 and 1; NaN stays, since it fails both comparisons.
template <class T> __device__ __forceinline__ T clipped(T p, T limit) {
  return p < limit ? limit : p > T(1) - limit ? T(1) - limit : p;
}

// Whether p is a probability, up to rounding; NaN is none. SLACK of reference/loss.py.
template <class T> __device__ __forceinline__ bool probability(T p) { return p >= T(-1e-2) && p <= T(1 + 1e-2); }

// l(p, t); `a` is the limit of probabilities, or where Huber's loss goes over to a straight line.
template <class T> __device__ __forceinline__ T loss_of(T p, T t, int kind, T a) {
  switch (kind) {
    case BINARY_CROSS_ENTROPY: {
      T q = clipped(p, a);
      T entropy = -(t * tg_log(q) + (T(1) - t) * tg_log(T(1) - q));
      return probability(p) && probability(t) ? entropy : T(nanf(""));
    }
    case BINARY_CROSS_ENTROPY_WITH_LOGITS: {
      T missed = p > T(0) ? T(1) - t : -t;
      T entropy = tg_softplus(-tg_abs(p)) + (missed == T(0) ? T(0) : p * missed);  // also 0 times infinity
      return probability(t) ? entropy : T(nanf(""));
    }
    case HUBER: {
      T e = tg_abs(p - t);
      return e <= a ? T(0.5) * e * e : a * (e - T(0.5) * a);
    }
    case HINGE: {
      T margin = T(1) - t * p;
      return margin < T(0) ? T(0) : margin;
    }
    default: return (p - t) * (p - t);
  }
}

// dl/dp.
template <class T> __device__ __forceinline__ T slope_of(T p, T t, int kind, T a) {
  switch (kind) {
    case BINARY_CROSS_ENTROPY: {
      T q = clipped(p, a);
      return p < a || p > T(1) - a ? T(0) : (q - t) / (q * (T(1) - q));
    }
    case BINARY_CROSS_ENTROPY_WITH_LOGITS: return tg_sigmoid(p) - t;
    case HUBER: {
      T e = p - t;
      return e < -a ? -a : e > a ? a : e;
    }
    case HINGE: return t * p < T(1) ? -t : T(0);
    default: return T(2) * (p - t);
  }
}

template <class T>
__global__ void loss(const T* __restrict__ p, const T* __restrict__ t, T* __restrict__ y, int n, int kind, T a) {
  for (int i = tg_first(); i < n; i += tg_stride()) y[i] = loss_of(p[i], t[i], kind, a);
}

// part[block] = the sum over the elements of that block.
template <class T>
__global__ void __launch_bounds__(THREADS) loss_sum(const T* __restrict__ p, const T* __restrict__ t,
                                                    double* __restrict__ part, int n, int kind, T a) {
  __shared__ double room[THREADS / 32];
  double total = 0;
  for (int i = tg_first(); i < n; i += tg_stride()) total += double(loss_of(p[i], t[i], kind, a));
  total = tg_block_sum<THREADS>(total, room);
  if (threadIdx.x == 0) part[blockIdx.x] = total;
}

// gp = scale g dl/dp. There is one g for all elements if `step` is 0, and one for each if it is 1.
template <class T>
__global__ void loss_grad(const T* __restrict__ p, const T* __restrict__ t, const T* __restrict__ g,
                          T* __restrict__ gp, int n, int step, int kind, T a, T scale) {
  for (int i = tg_first(); i < n; i += tg_stride())
    gp[i] = scale * (g ? g[i * step] : T(1)) * slope_of(p[i], t[i], kind, a);
}
