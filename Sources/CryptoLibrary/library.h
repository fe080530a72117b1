// Frozen: SwiftPM does not rebuild when this file changes. Shims live in Sources/CCrypto.
#include <openssl/evp.h>
