// Neighbouring numbers that are loaded and stored at once. A memory system is kept busy by bytes on
// their way: with 16 of them for each thread a quarter of the threads do.
#pragma once
#include "tg_common.cuh"

template <class T, int N> struct alignas(sizeof(T) * N) TgPack { T at[N]; };

template <int N, class T> __device__ __forceinline__ TgPack<T, N> tg_load(const T* place) {
  return *(const TgPack<T, N>*)place;
}
template <int N, class T> __device__ __forceinline__ void tg_store(T* place, const TgPack<T, N>& pack) {
  *(TgPack<T, N>*)place = pack;
}
