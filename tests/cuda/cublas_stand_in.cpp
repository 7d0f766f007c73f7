// In place of libcublas for tests on the CPU: the functions that our binding calls, with the checks
// that cuBLAS documents. Products by columns, literally; what was asked for is kept for tests to see.
#include <cstdint>
#include <cstdlib>
struct Handle { void *stream, *workspace; size_t room; };
struct Record { long long calls, batched, compute, type, ta, tb, stream, workspace, room; } record;
extern "C" {
Record* last_record() { return &record; }
int fail_with = 0;
int cublasCreate_v2(Handle** handle) { *handle = new Handle{nullptr, nullptr, 0}; return fail_with; }
int cublasSetStream_v2(Handle* handle, void* stream) {
  *handle = {stream, nullptr, 0};
  return 0;
}
int cublasSetWorkspace_v2(Handle* handle, void* workspace, size_t room) {
  if ((uintptr_t)workspace % 256) return 7;
  handle->workspace = workspace, handle->room = room;
  return 0;
}
}
template <class T>
void gemm(int ta, int tb, int m, int n, int k, T alpha, const T* a, int lda, const T* b, int ldb, T beta, T* c, int ldc) {
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j) {
      double sum = 0;
      for (int l = 0; l < k; ++l)
        sum += double(ta ? a[l + (long long)i * lda] : a[i + (long long)l * lda]) *
               double(tb ? b[j + (long long)l * ldb] : b[l + (long long)j * ldb]);
      T& z = c[i + (long long)j * ldc];
      z = T(alpha * sum) + (beta == 0 ? T(0) : beta * z);
    }
}
static int all(Handle* h, bool batched, int ta, int tb, int m, int n, int k, const void* alpha, const void* a, int at,
               int lda, long long sa, const void* b, int bt, int ldb, long long sb, const void* beta, void* c, int ct,
               int ldc, long long sc, int count, int compute, int algorithm) {
  record = {record.calls + 1, record.batched + batched, compute, ct, ta, tb, (long long)h->stream,
            (long long)h->workspace, (long long)h->room};
  if (fail_with) return fail_with;
  if (!h->workspace) return 14;  // it would allocate
  if (at != bt || at != ct || algorithm != -1) return 15;
  if (m < 1 || n < 1 || k < 1 || lda < (ta ? k : m) || ldb < (tb ? n : k) || ldc < m) return 7;
  for (int i = 0; i < count; ++i)
    if (ct == 0 && (compute == 68 || compute == 75 || compute == 77))
      gemm(ta, tb, m, n, k, *(const float*)alpha, (const float*)a + i * sa, lda, (const float*)b + i * sb, ldb,
           *(const float*)beta, (float*)c + i * sc, ldc);
    else if (ct == 1 && compute == 70)
      gemm(ta, tb, m, n, k, *(const double*)alpha, (const double*)a + i * sa, lda, (const double*)b + i * sb, ldb,
           *(const double*)beta, (double*)c + i * sc, ldc);
    else return 15;
  return 0;
}
extern "C" int cublasGemmEx(Handle* h, int ta, int tb, int m, int n, int k, const void* alpha, const void* a, int at,
                            int lda, const void* b, int bt, int ldb, const void* beta, void* c, int ct, int ldc,
                            int compute, int algorithm) {
  return all(h, false, ta, tb, m, n, k, alpha, a, at, lda, 0, b, bt, ldb, 0, beta, c, ct, ldc, 0, 1, compute, algorithm);
}
extern "C" int cublasGemmStridedBatchedEx(Handle* h, int ta, int tb, int m, int n, int k, const void* alpha,
                                          const void* a, int at, int lda, long long sa, const void* b, int bt, int ldb,
                                          long long sb, const void* beta, void* c, int ct, int ldc, long long sc,
                                          int count, int compute, int algorithm) {
  return all(h, true, ta, tb, m, n, k, alpha, a, at, lda, sa, b, bt, ldb, sb, beta, c, ct, ldc, sc, count, compute,
             algorithm);
}
