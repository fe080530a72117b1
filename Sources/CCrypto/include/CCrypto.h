#ifndef CCRYPTO_H
#define CCRYPTO_H

#include <stddef.h>
#include <stdint.h>

// SHA-256 (FIPS 180-4) from OpenSSL's libcrypto, behind a type of our own: its headers are not for Swift, and change.

typedef struct ccrypto_sha256 ccrypto_sha256;

enum { ccrypto_sha256_size = 32 };

/// A new computation, NULL where the library has no memory or no SHA-256.
ccrypto_sha256 *ccrypto_sha256_create(void);

/// Adds bytes. Returns 0, and anything else where the library refuses.
int ccrypto_sha256_update(ccrypto_sha256 *hash, const uint8_t *bytes, size_t count);

/// Ends the computation and writes the digest of ccrypto_sha256_size bytes. Returns 0, and anything else where the library
/// refuses.
int ccrypto_sha256_finish(ccrypto_sha256 *hash, uint8_t *digest);

/// Gives the computation's memory back, whether it has ended or not.
void ccrypto_sha256_destroy(ccrypto_sha256 *hash);

#endif
