#ifndef CHDF5_H
#define CHDF5_H
#include <hdf5.h>
#endif
#include <stddef.h>
#include <stdint.h>
// TEMPORARY, NOT COMMITTED
int temporary_inflate(const uint8_t *in, size_t n, uint8_t *out, size_t m);
uint32_t temporary_crc(const uint8_t *in, size_t n);
