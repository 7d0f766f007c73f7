// The CPU's twins of the inline assembly in tg_common.cuh.
#pragma once

// A copy lands when it is waited for, not when it is asked for: a kernel that forgets to wait reads NaN.
inline void tg_copy_async16(void* to, const void* from, bool real) {
  if (((uintptr_t)to | (uintptr_t)from) & 15) shim::fail("cp.async of 16 bytes at an address that is no multiple of 16");
  auto f = shim::block->running;
  f->copies.push_back({to, from, real, f->group});
}
inline void tg_copy_async4(void* to, const void* from, bool real) {
  auto f = shim::block->running;
  f->copies.push_back({to, from, real, f->group | 0x80000000u});
}
inline void tg_copy_commit() { ++shim::block->running->group; }
template <int PENDING> void tg_copy_wait() {
  auto f = shim::block->running;
  size_t landed = 0;
  for (; landed < f->copies.size(); ++landed) {
    const auto& copy = f->copies[landed];
    if ((copy.group & 0x7fffffffu) + PENDING >= f->group) break;
    size_t size = copy.group >> 31 ? 4 : 16;
    if (copy.real) memcpy(copy.to, copy.from, size);
    else memset(copy.to, 0, size);
  }
  f->copies.erase(f->copies.begin(), f->copies.begin() + landed);
}

// To the nearest number with 10 bits after the point, ties away from zero, as cvt.rna does.
inline unsigned tg_tf32(float x) { return (__float_as_uint(x) + 0x1000u) & ~0x1fffu; }

// Two numbers rounded to bfloat16, ties to even; the first in the lower half.
inline unsigned shim_bf16(float x) {
  unsigned bits = __float_as_uint(x);
  if (x != x) return 0x7fffu;
  return (bits + 0x7fffu + (bits >> 16 & 1)) >> 16;
}
inline unsigned tg_bf16x2(float low, float high) { return shim_bf16(low) | shim_bf16(high) << 16; }

// d += a b on the tensor cores: every lane publishes its parts of a (16 x 8) and b (8 x 8) and computes the four
// places of d that the layout gives it (PTX ISA, "Matrix fragments for mma.m16n8k8").
inline void tg_mma_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  struct Parts { unsigned a[4], b[2]; } parts{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
  auto slots = shim::exchange(~0u, parts);
  unsigned group = shim_lane() / 4, place = shim_lane() % 4;
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 2; ++j)
      for (unsigned k = 0; k < 8; ++k) {
        auto row = shim_slot<Parts>(slots, group * 4 + k % 4), column = shim_slot<Parts>(slots, (place * 2 + j) * 4 + k % 4);
        d[i * 2 + j] += __uint_as_float(row.a[i + k / 4 * 2] & ~0x1fffu) * __uint_as_float(column.b[k / 4] & ~0x1fffu);
      }
}

// The same for bfloat16, a of 16 x 16 and b of 16 x 8, two numbers in a register ("mma.m16n8k16").
inline void tg_mma_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  struct Parts { unsigned a[4], b[2]; } parts{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
  auto slots = shim::exchange(~0u, parts);
  unsigned group = shim_lane() / 4, place = shim_lane() % 4;
  auto number = [](unsigned pair, unsigned k) { return __uint_as_float(k & 1 ? pair & 0xffff0000u : pair << 16); };
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 2; ++j)
      for (unsigned k = 0; k < 16; ++k) {
        auto row = shim_slot<Parts>(slots, group * 4 + k % 8 / 2), column = shim_slot<Parts>(slots, (place * 2 + j) * 4 + k % 8 / 2);
        d[i * 2 + j] += number(row.a[i + k / 8 * 2], k) * number(column.b[k / 8], k);
      }
}
