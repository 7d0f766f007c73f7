// Activation functions, and their slopes as functions of the output; see reference/activation.py.
#pragma once
#include "tg_common.cuh"

enum TgActivation { TG_IDENTITY, TG_RELU, TG_LEAKY_RELU, TG_ELU, TG_SELU, TG_SIGMOID, TG_TANH, TG_SOFTPLUS };

#define TG_SELU_SCALE 1.0507009873554805
#define TG_SELU_ALPHA 1.6732632423543772

// The same names for both types. `tanhf` and its like are exact to an ulp or two; nothing here uses
// the fast approximations, whose error shows in second derivatives.
__device__ __forceinline__ float tg_exp(float x) { return expf(x); }
__device__ __forceinline__ double tg_exp(double x) { return exp(x); }
__device__ __forceinline__ float tg_expm1(float x) { return expm1f(x); }
__device__ __forceinline__ double tg_expm1(double x) { return expm1(x); }
__device__ __forceinline__ float tg_log(float x) { return logf(x); }
__device__ __forceinline__ double tg_log(double x) { return log(x); }
__device__ __forceinline__ float tg_log1p(float x) { return log1pf(x); }
__device__ __forceinline__ double tg_log1p(double x) { return log1p(x); }
__device__ __forceinline__ float tg_tanh(float x) { return tanhf(x); }
__device__ __forceinline__ double tg_tanh(double x) { return tanh(x); }
__device__ __forceinline__ float tg_sqrt(float x) { return sqrtf(x); }
__device__ __forceinline__ double tg_sqrt(double x) { return sqrt(x); }
__device__ __forceinline__ float tg_abs(float x) { return fabsf(x); }
__device__ __forceinline__ double tg_abs(double x) { return fabs(x); }

template <class T> __device__ __forceinline__ T tg_sigmoid(T x) {
  T e = tg_exp(-tg_abs(x));
  return (x < T(0) ? e : T(1)) / (T(1) + e);
}

template <class T> __device__ __forceinline__ T tg_softplus(T x) {
  return (x > T(0) ? x : x != x ? x : T(0)) + tg_log1p(tg_exp(-tg_abs(x)));
}

// f(x); `a` is the slope of leaky_relu and the scale of elu.
template <class T> __device__ __forceinline__ T tg_activate(T x, int kind, T a) {
  switch (kind) {
    case TG_RELU: return x < T(0) ? T(0) : x;
    case TG_LEAKY_RELU: return x > T(0) ? x : a * x;
    case TG_ELU: return x > T(0) ? x : a * tg_expm1(x);
    case TG_SELU: return T(TG_SELU_SCALE) * (x > T(0) ? x : T(TG_SELU_ALPHA) * tg_expm1(x));
    case TG_SIGMOID: return tg_sigmoid(x);
    case TG_TANH: return tg_tanh(x);
    case TG_SOFTPLUS: return tg_softplus(x);
    default: return x;
  }
}

// f'(x), told from y = f(x).
template <class T> __device__ __forceinline__ T tg_activation_slope(T y, int kind, T a) {
  switch (kind) {
    case TG_RELU: return y > T(0) ? T(1) : T(0);
    case TG_LEAKY_RELU: return y > T(0) ? T(1) : a;
    case TG_ELU: return y > T(0) ? T(1) : y + a;
    case TG_SELU: return y > T(0) ? T(TG_SELU_SCALE) : y + T(TG_SELU_SCALE * TG_SELU_ALPHA);
    case TG_SIGMOID: return y * (T(1) - y);
    case TG_TANH: return T(1) - y * y;
    case TG_SOFTPLUS: return -tg_expm1(-y);
    default: return T(1);
  }
}
