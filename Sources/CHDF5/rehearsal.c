#include "CHDF5.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

// What the child process reads: all that the reader in Swift does, by the same calls. The first thing that the library
// refuses ends a branch and nothing is reported: this asks only whether the library comes back.

enum { maximum_depth = 32, maximum_objects = 1000000, maximum_attributes = 100000 };
static const hsize_t maximum_bytes = (hsize_t)1 << 26;

struct walk {
  const char *const *skipped;
  size_t skipped_count;
  size_t objects;
};

/// The number of elements of a simple space, and -1 where it has none or too many to count.
static long long element_count(hid_t space) {
  int order = H5Sget_simple_extent_ndims(space);
  if (order < 0 || order > 32 || H5Sget_simple_extent_type(space) == H5S_NULL) return -1;
  hsize_t extents[32];
  if (H5Sget_simple_extent_dims(space, extents, NULL) != order) return -1;
  long long count = 1;
  for (int i = 0; i < order; ++i)
    if (extents[i] > INT64_MAX || __builtin_mul_overflow(count, (long long)extents[i], &count)) return -1;
  return count;
}

static void read_text(hid_t attribute, hid_t type, hid_t space) {
  long long count = element_count(space), bytes;
  size_t width = H5Tget_size(type);
  if (count <= 0 || H5Tget_class(type) != H5T_STRING) return;
  if (__builtin_mul_overflow(count, (long long)width, &bytes) || (hsize_t)bytes > maximum_bytes ||
      (hsize_t)bytes > H5Aget_storage_size(attribute))
    return;
  int is_variable = H5Tis_variable_str(type) > 0;
  char **target = calloc((size_t)count, is_variable && width < sizeof *target ? sizeof *target : width);
  if (target == NULL) return;
  if (H5Aread(attribute, type, target) >= 0 && is_variable) {
    for (long long i = 0; i < count; ++i)
      if (target[i] != NULL && strlen(target[i]) > (size_t)maximum_bytes) break;
    H5Dvlen_reclaim(type, space, H5P_DEFAULT, target);
  }
  free(target);
}

static void read_attributes(hid_t object) {
  int count = H5Aget_num_attrs(object);
  if (count > maximum_attributes) return;
  for (int position = 0; position < count; ++position) {
    hid_t attribute = H5Aopen_by_idx(
        object, ".", H5_INDEX_NAME, H5_ITER_INC, (hsize_t)position, H5P_DEFAULT, H5P_DEFAULT);
    if (attribute < 0) return;
    char name[4097];
    H5Aget_name(attribute, sizeof name, name);
    hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    if (type >= 0 && space >= 0) read_text(attribute, type, space);
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(attribute);
  }
}

static void read_elements(hid_t dataset, hid_t type, hid_t space) {
  long long count = element_count(space), bytes;
  long long width = chdf5_is_byte_float(type) ? 4 : (long long)H5Tget_size(type);
  if (count <= 0 || __builtin_mul_overflow(count, width, &bytes)) return;
  hid_t properties = H5Dget_create_plist(dataset);
  int is_foreign =
      properties < 0 || H5Pget_layout(properties) == H5D_VIRTUAL || H5Pget_external_count(properties) != 0;
  H5Pclose(properties);
  hsize_t stored = H5Dget_storage_size(dataset);
  if (is_foreign || ((hsize_t)bytes / 1100 > stored && bytes > 1 << 20)) return;
  H5T_class_t kind = H5Tget_class(type);
  if (kind != H5T_FLOAT && kind != H5T_INTEGER && kind != H5T_ENUM && kind != H5T_OPAQUE) return;
  void *target = malloc((size_t)bytes);
  if (target == NULL) return;
  hid_t memory = chdf5_memory_type(type);
  H5Dread(dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, target);
  H5Tclose(memory);
  free(target);
}

static void read_dataset(hid_t dataset) {
  hid_t type = H5Dget_type(dataset), space = H5Dget_space(dataset);
  if (type >= 0 && space >= 0) read_elements(dataset, type, space);
  H5Sclose(space);
  H5Tclose(type);
}

static int is_skipped(const struct walk *walk, const char *name) {
  for (size_t i = 0; i < walk->skipped_count; ++i)
    if (strcmp(walk->skipped[i], name) == 0) return 1;
  return 0;
}

static void read_group(hid_t group, int depth, struct walk *walk) {
  H5G_info_t info;
  if (depth > maximum_depth) return;
  read_attributes(group);
  if (H5Gget_info(group, &info) < 0 || info.nlinks > maximum_objects) return;
  for (hsize_t position = 0; position < info.nlinks && walk->objects < maximum_objects; ++position) {
    char name[4097];
    ssize_t length = H5Lget_name_by_idx(
        group, ".", H5_INDEX_NAME, H5_ITER_INC, position, name, sizeof name, H5P_DEFAULT);
    if (length < 0) return;
    if ((size_t)length >= sizeof name || (depth == 1 && is_skipped(walk, name))) continue;
    walk->objects += 1;
    if (chdf5_is_indirect_link(group, name) != 0) continue;
    hid_t object = H5Oopen(group, name, H5P_DEFAULT);
    if (object < 0) continue;
    if (H5Iget_type(object) == H5I_GROUP) read_group(object, depth + 1, walk);
    if (H5Iget_type(object) == H5I_DATASET) read_dataset(object);
    H5Oclose(object);
  }
}

static void read_file(const char *path, struct walk *walk) {
  hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
  if (file < 0) return;
  hid_t root = H5Gopen2(file, "/", H5P_DEFAULT);
  if (root >= 0) read_group(root, 1, walk);
  H5Gclose(root);
  H5Fclose(file);
}

int chdf5_rehearse(
    const char *path, const char *const *skipped, size_t skipped_count, unsigned processor_seconds,
    unsigned seconds) {
  pid_t child = fork();
  if (child < 0) return -1;
  if (child == 0) {
    const int signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGTRAP, SIGXCPU, SIGALRM};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; ++i) signal(signals[i], SIG_DFL);
    const struct rlimit none = {0, 0}, limit = {processor_seconds, processor_seconds + 1};
    setrlimit(RLIMIT_CORE, &none);
    setrlimit(RLIMIT_CPU, &limit);
    alarm(seconds);
    struct walk walk = {skipped, skipped_count, 0};
    read_file(path, &walk);
    _exit(0);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return -1;
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}
