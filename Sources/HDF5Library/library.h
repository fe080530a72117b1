// Frozen: SwiftPM does not rebuild when this file changes. Shims live in Sources/CHDF5.
#include <hdf5.h>
