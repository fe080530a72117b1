#include "CHDF5.h"

#include <limits.h>
#include <string.h>
#include <zlib.h>

void chdf5_initialize(void) {
  H5dont_atexit();
  H5open();
  H5PLset_loading_state(0);
  chdf5_register_lzf();
}

void chdf5_silence_thread(void) { H5Eset_auto2(H5E_DEFAULT, NULL, NULL); }

struct message {
  char *text;
  size_t capacity;
};

static herr_t keep_first(unsigned position, const H5E_error2_t *error, void *data) {
  struct message *message = data;
  if (position == 0 && error->desc != NULL) {
    strncpy(message->text, error->desc, message->capacity - 1);
    message->text[message->capacity - 1] = 0;
  }
  return 0;
}

void chdf5_last_error(char *text, size_t capacity) {
  text[0] = 0;
  struct message message = {text, capacity};
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, &message);
}

int chdf5_is_indirect_link(hid_t group, const char *name) {
  H5L_info_t info;
  if (H5Lget_info(group, name, &info, H5P_DEFAULT) < 0) return -1;
  return info.type != H5L_TYPE_HARD;
}

int chdf5_has_float_fields(hid_t type, size_t exponent_bits, size_t mantissa_bits) {
  size_t sign, exponent, exponent_size, mantissa, mantissa_size;
  if (H5Tget_fields(type, &sign, &exponent, &exponent_size, &mantissa, &mantissa_size) < 0)
    return 0;
  return exponent_size == exponent_bits && mantissa_size == mantissa_bits && mantissa == 0 &&
         exponent == mantissa_bits && sign == exponent_bits + mantissa_bits &&
         H5Tget_ebias(type) == ((size_t)1 << (exponent_bits - 1)) - 1;
}

int chdf5_is_byte_float(hid_t type) {
  size_t sign, exponent, exponent_size, mantissa, mantissa_size;
  if (H5Tget_class(type) != H5T_FLOAT || H5Tget_size(type) != 1 || H5Tget_norm(type) != H5T_NORM_IMPLIED ||
      H5Tget_fields(type, &sign, &exponent, &exponent_size, &mantissa, &mantissa_size) < 0)
    return 0;
  size_t bias = H5Tget_ebias(type);
  // The range in which binary32 holds every such number.
  return sign == 7 && exponent == 4 && exponent_size == 3 && mantissa == 0 && mantissa_size == 4 && bias >= 1 &&
         bias <= 120;
}

hid_t chdf5_memory_type(hid_t type) {
  if (chdf5_is_byte_float(type)) return H5Tcopy(H5T_IEEE_F32LE);
  hid_t memory = H5Tcopy(type);
  H5T_class_t kind = H5Tget_class(type);
  if (memory >= 0 && H5Tget_size(type) > 1 && (kind == H5T_FLOAT || kind == H5T_INTEGER) &&
      H5Tset_order(memory, H5T_ORDER_LE) < 0) {
    H5Tclose(memory);
    return -1;
  }
  return memory;
}

uint64_t chdf5_file_size(hid_t file) {
  hsize_t size = 0;
  return H5Fget_filesize(file, &size) < 0 ? 0 : size;
}

unsigned chdf5_read_only(void) { return H5F_ACC_RDONLY; }
unsigned chdf5_truncate(void) { return H5F_ACC_TRUNC; }

/// IEEE binary16, which has no predefined type: a copy of binary32 is narrowed.
static hid_t half_float(void) {
  hid_t type = H5Tcopy(H5T_IEEE_F32LE);
  if (type < 0) return type;
  if (H5Tset_fields(type, 15, 10, 5, 0, 10) < 0 || H5Tset_size(type, 2) < 0 ||
      H5Tset_ebias(type, 15) < 0) {
    H5Tclose(type);
    return -1;
  }
  return type;
}

hid_t chdf5_type_float(int bits) {
  switch (bits) {
  case 16: return half_float();
  case 32: return H5Tcopy(H5T_IEEE_F32LE);
  case 64: return H5Tcopy(H5T_IEEE_F64LE);
  default: return -1;
  }
}

hid_t chdf5_type_byte_float(size_t bias) {
  hid_t type = H5Tcopy(H5T_IEEE_F32LE);
  if (type < 0) return type;
  if (H5Tset_fields(type, 7, 4, 3, 0, 4) < 0 || H5Tset_size(type, 1) < 0 || H5Tset_ebias(type, bias) < 0) {
    H5Tclose(type);
    return -1;
  }
  return type;
}

hid_t chdf5_type_signed(int bits) {
  switch (bits) {
  case 8: return H5Tcopy(H5T_STD_I8LE);
  case 16: return H5Tcopy(H5T_STD_I16LE);
  case 32: return H5Tcopy(H5T_STD_I32LE);
  case 64: return H5Tcopy(H5T_STD_I64LE);
  default: return -1;
  }
}

hid_t chdf5_type_unsigned(int bits) {
  switch (bits) {
  case 8: return H5Tcopy(H5T_STD_U8LE);
  case 16: return H5Tcopy(H5T_STD_U16LE);
  case 32: return H5Tcopy(H5T_STD_U32LE);
  case 64: return H5Tcopy(H5T_STD_U64LE);
  default: return -1;
  }
}

size_t chdf5_variable_length(void) { return H5T_VARIABLE; }
hid_t chdf5_type_c_string(void) { return H5Tcopy(H5T_C_S1); }
hid_t chdf5_class_file_access(void) { return H5P_FILE_ACCESS; }
hid_t chdf5_class_file_create(void) { return H5P_FILE_CREATE; }
hid_t chdf5_class_group_create(void) { return H5P_GROUP_CREATE; }
hid_t chdf5_class_dataset_create(void) { return H5P_DATASET_CREATE; }

int chdf5_inflate_raw(
    const uint8_t *input, size_t input_count, uint8_t *output, size_t output_count) {
  if (input_count > UINT_MAX || output_count > UINT_MAX) return -1;
  uint8_t none = 0;
  z_stream stream;
  memset(&stream, 0, sizeof stream);
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return -1;
  stream.next_in = (Bytef *)input;
  stream.avail_in = (uInt)input_count;
  stream.next_out = output == NULL ? &none : output;
  stream.avail_out = (uInt)output_count;
  int result = inflate(&stream, Z_FINISH);
  int is_whole = result == Z_STREAM_END && stream.avail_out == 0 && stream.avail_in == 0;
  inflateEnd(&stream);
  return is_whole ? 0 : -1;
}

uint32_t chdf5_crc32(const uint8_t *bytes, size_t count) {
  return (uint32_t)crc32_z(crc32_z(0, NULL, 0), bytes, count);
}
