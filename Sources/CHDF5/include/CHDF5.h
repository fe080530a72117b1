#ifndef CHDF5_H
#define CHDF5_H

#include <hdf5.h>
#include <stddef.h>
#include <stdint.h>

// What Swift cannot import of the HDF5 library: macros that are expressions, callbacks of the error stack, and
// functions whose names are versioned macros. And zlib, on which the library depends.

/// To be called before anything else. No plug-ins, because a file could name one to be loaded; no closing at exit, which
/// complains about what damaged files leave open.
void chdf5_initialize(void);

/// Makes the library read what h5py compressed as "lzf". `chdf5_initialize` does it.
void chdf5_register_lzf(void);

/// No messages on stderr; a library built with threads keeps this for each of them.
void chdf5_silence_thread(void);

/// The innermost message of the library's error stack, empty if there is none. Always terminated.
void chdf5_last_error(char *text, size_t capacity);

/// Reads everything of a file in a child process, which ends after so many seconds of processor time, or of any time.
/// It is C because a process that was forked from one with several threads must not wait for locks, and the run time of Swift
/// has some. `skipped` groups at the root are left out.
/// Returns 0 when it came to its end, the signal that ended it otherwise, and -1 where no process could be made.
int chdf5_rehearse(
    const char *path, const char *const *skipped, size_t skipped_count, unsigned processor_seconds,
    unsigned seconds);

/// 0 for a hard link, 1 for any other kind, negative for an error.
int chdf5_is_indirect_link(hid_t group, const char *name);

/// Whether the floating-point type has one sign bit, these widths and the usual bias.
int chdf5_has_float_fields(hid_t type, size_t exponent_bits, size_t mantissa_bits);

/// Whether a type is what `chdf5_type_byte_float` makes, whatever its bias.
int chdf5_is_byte_float(hid_t type);

/// The type in memory of the elements of a type in a file: little-endian, and binary32 for floating-point numbers of one byte.
hid_t chdf5_memory_type(hid_t type);

/// 0 where the library cannot tell.
uint64_t chdf5_file_size(hid_t file);

unsigned chdf5_read_only(void);
unsigned chdf5_truncate(void);

hid_t chdf5_type_float(int bits);
/// Floating-point numbers of one byte: a sign, three bits of exponent, four of mantissa. The bias is at least 1, because Python takes
/// none for an error.
hid_t chdf5_type_byte_float(size_t bias);
hid_t chdf5_type_signed(int bits);
hid_t chdf5_type_unsigned(int bits);
hid_t chdf5_type_c_string(void);
/// The size that makes a string type one of variable length.
size_t chdf5_variable_length(void);
hid_t chdf5_class_file_access(void);
hid_t chdf5_class_file_create(void);
hid_t chdf5_class_group_create(void);
hid_t chdf5_class_dataset_create(void);

/// 0 if `input` is one raw deflate stream that inflates to exactly `output_count` bytes.
int chdf5_inflate_raw(
    const uint8_t *input, size_t input_count, uint8_t *output, size_t output_count);

uint32_t chdf5_crc32(const uint8_t *bytes, size_t count);

#endif
