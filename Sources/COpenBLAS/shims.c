#include "COpenBLAS.h"

#include <stddef.h>

/// Parallelism is the program's own: it runs one layer or one batch on each processor. Were OpenBLAS to start threads inside
/// of these, they would fight for the processors, at ten times the cost of the work itself.
__attribute__((constructor)) static void use_one_thread(void) { openblas_set_num_threads(1); }

// gfortran passes the length of every character argument behind the others.
void dgesdd_(
    const char *, const int32_t *, const int32_t *, double *, const int32_t *, double *, double *,
    const int32_t *, double *, const int32_t *, double *, const int32_t *, int32_t *, int32_t *,
    size_t);
void dsyevd_(
    const char *, const char *, const int32_t *, double *, const int32_t *, double *, double *,
    const int32_t *, int32_t *, const int32_t *, int32_t *, size_t, size_t);
void dpotrf_(const char *, const int32_t *, double *, const int32_t *, int32_t *, size_t);
void dpotrs_(
    const char *, const int32_t *, const int32_t *, const double *, const int32_t *, double *,
    const int32_t *, int32_t *, size_t);

int32_t lapack_dgesdd(
    char jobz, int32_t m, int32_t n, double *a, int32_t lda, double *s, double *u, int32_t ldu,
    double *vt, int32_t ldvt, double *work, int32_t lwork, int32_t *iwork) {
  int32_t info = 0;
  dgesdd_(&jobz, &m, &n, a, &lda, s, u, &ldu, vt, &ldvt, work, &lwork, iwork, &info, 1);
  return info;
}

int32_t lapack_dsyevd(
    char jobz, char uplo, int32_t n, double *a, int32_t lda, double *w, double *work,
    int32_t lwork, int32_t *iwork, int32_t liwork) {
  int32_t info = 0;
  dsyevd_(&jobz, &uplo, &n, a, &lda, w, work, &lwork, iwork, &liwork, &info, 1, 1);
  return info;
}

int32_t lapack_dpotrf(char uplo, int32_t n, double *a, int32_t lda) {
  int32_t info = 0;
  dpotrf_(&uplo, &n, a, &lda, &info, 1);
  return info;
}

int32_t lapack_dpotrs(
    char uplo, int32_t n, int32_t nrhs, const double *a, int32_t lda, double *b, int32_t ldb) {
  int32_t info = 0;
  dpotrs_(&uplo, &n, &nrhs, a, &lda, b, &ldb, &info, 1);
  return info;
}
