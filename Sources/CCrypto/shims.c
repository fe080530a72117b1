#include "CCrypto.h"

#include <openssl/evp.h>

static EVP_MD_CTX *context(ccrypto_sha256 *hash) { return (EVP_MD_CTX *)hash; }

ccrypto_sha256 *ccrypto_sha256_create(void) {
  EVP_MD_CTX *result = EVP_MD_CTX_new();
  if (result == NULL) return NULL;
  if (EVP_DigestInit_ex(result, EVP_sha256(), NULL) != 1) {
    EVP_MD_CTX_free(result);
    return NULL;
  }
  return (ccrypto_sha256 *)result;
}

int ccrypto_sha256_update(ccrypto_sha256 *hash, const uint8_t *bytes, size_t count) {
  return EVP_DigestUpdate(context(hash), bytes, count) == 1 ? 0 : 1;
}

int ccrypto_sha256_finish(ccrypto_sha256 *hash, uint8_t *digest) {
  unsigned int size = 0;
  if (EVP_DigestFinal_ex(context(hash), digest, &size) != 1) return 1;
  return size == ccrypto_sha256_size ? 0 : 1;
}

void ccrypto_sha256_destroy(ccrypto_sha256 *hash) { EVP_MD_CTX_free(context(hash)); }
