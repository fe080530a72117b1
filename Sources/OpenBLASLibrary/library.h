// Frozen: SwiftPM does not rebuild when this file changes. Shims live in Sources/COpenBLAS.
#include <cblas.h>
