#ifndef COPENBLAS_H
#define COPENBLAS_H
#include <cblas.h>
#include <stdint.h>

// LAPACK as far as the program needs it. Debian's OpenBLAS is built without LAPACKE, so these wrap the Fortran routines;
// matrices are column-major, and every function returns LAPACK's info.

/// The singular value decomposition of a (m x n); lwork -1 asks for the workspace's size in work[0].
int32_t lapack_dgesdd(
    char jobz, int32_t m, int32_t n, double *a, int32_t lda, double *s, double *u, int32_t ldu,
    double *vt, int32_t ldvt, double *work, int32_t lwork, int32_t *iwork);

/// The eigenvalues, ascending, and with jobz 'V' the eigenvectors of a symmetric a (n x n), of which `uplo` is read.
int32_t lapack_dsyevd(
    char jobz, char uplo, int32_t n, double *a, int32_t lda, double *w, double *work,
    int32_t lwork, int32_t *iwork, int32_t liwork);

/// The Cholesky factor of a symmetric positive definite a (n x n), in the triangle `uplo`.
int32_t lapack_dpotrf(char uplo, int32_t n, double *a, int32_t lda);

/// The solution of a x = b in b (n x nrhs), with a as lapack_dpotrf left it.
int32_t lapack_dpotrs(
    char uplo, int32_t n, int32_t nrhs, const double *a, int32_t lda, double *b, int32_t ldb);

#endif
