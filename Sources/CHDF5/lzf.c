#include "CHDF5.h"

#include <string.h>

// The filter of h5py's compression="lzf", for reading. The library has none, and to load one as a plug-in is forbidden here.

enum { lzf_filter = 32000 };

/// Expands `input` into `output` and returns the count of bytes, which may be asked for alone with `output` NULL; 0 where the input
/// is damaged or there is no room. Literals are runs of up to 32 bytes; a reference repeats up to 264 bytes that stand at most 8192
/// bytes behind.
static size_t expand(const uint8_t *input, size_t input_count, uint8_t *output, size_t output_count) {
  size_t from = 0, to = 0;
  while (from < input_count) {
    size_t control = input[from++];
    if (control < 32) {
      size_t count = control + 1;
      if (count > input_count - from || count > output_count - to) return 0;
      if (output != NULL) memcpy(output + to, input + from, count);
      from += count;
      to += count;
      continue;
    }
    size_t count = control >> 5;
    if (count == 7) {
      if (from == input_count) return 0;
      count += input[from++];
    }
    count += 2;
    if (from == input_count) return 0;
    size_t distance = ((control & 31) << 8) + input[from++] + 1;
    if (distance > to || count > output_count - to) return 0;
    // Byte by byte: what is repeated may be what was just written.
    if (output != NULL)
      for (size_t i = 0; i < count; ++i) output[to + i] = output[to + i - distance];
    to += count;
  }
  return to;
}

static size_t filter(
    unsigned flags, size_t parameter_count, const unsigned parameters[], size_t count, size_t *capacity, void **buffer) {
  (void)parameter_count;
  (void)parameters;
  if (!(flags & H5Z_FLAG_REVERSE)) return 0;
  // The input is at most a chunk, and becomes at most 88 times as long.
  size_t expanded = expand(*buffer, count, NULL, SIZE_MAX);
  if (expanded == 0 || expanded > UINT32_MAX) return 0;
  uint8_t *output = H5allocate_memory(expanded, 0);
  if (output == NULL) return 0;
  if (expand(*buffer, count, output, expanded) != expanded) {
    H5free_memory(output);
    return 0;
  }
  H5free_memory(*buffer);
  *buffer = output;
  *capacity = expanded;
  return expanded;
}

void chdf5_register_lzf(void) {
  const H5Z_class2_t description = {H5Z_CLASS_T_VERS, lzf_filter, 0, 1, "lzf", NULL, NULL, filter};
  H5Zregister(&description);
}
