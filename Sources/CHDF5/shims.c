#include "CHDF5.h"
#include <zlib.h>
#include <string.h>
int temporary_inflate(const uint8_t *in, size_t n, uint8_t *out, size_t m) {
  z_stream s; memset(&s, 0, sizeof s);
  if (inflateInit2(&s, -15) != Z_OK) return -1;
  s.next_in = (Bytef *)in; s.avail_in = n; s.next_out = out; s.avail_out = m;
  int r = inflate(&s, Z_FINISH);
  size_t left = s.avail_out;
  inflateEnd(&s);
  return r == Z_STREAM_END && left == 0 ? 0 : -1;
}
uint32_t temporary_crc(const uint8_t *in, size_t n) { return crc32(crc32(0, 0, 0), in, n); }
