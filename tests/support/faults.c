/* A disk that fails on order: a library that stands before the C library's calls to files.
 *
 * fault(call, path, at, times, error) makes the calls of one name ("any": of all of them) to files
 * whose path contains `path` fail, from the `at`th one on and so many times. The error is a number
 * of errno.h; 0 kills the process in its place. What removes a name is an "unlink", and
 * copy_file_range is a "copy" to its target. The same by the variable FAULT, its parts with
 * commas between them, for a whole process.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static char wanted[32], part[PATH_MAX];
static int first, last, error_number, seen;

void fault(const char *call, const char *path, int at, int times, int error) {
  seen = 0;
  first = at;
  last = at + times - 1;
  error_number = error;
  snprintf(part, sizeof part, "%s", path);
  snprintf(wanted, sizeof wanted, "%s", call);
}

__attribute__((constructor)) static void from_environment(void) {
  char *given = getenv("FAULT"), call[32], path[PATH_MAX];
  int numbers[3];
  if (given && sscanf(given, "%31[^,],%4095[^,],%d,%d,%d", call, path, numbers, numbers + 1,
                      numbers + 2) == 5)
    fault(call, path, numbers[0], numbers[1], numbers[2]);
}

static int fails(const char *call, const char *path) {
  if (!wanted[0] || !path || !strstr(path, part)) return 0;
  if (strcmp(wanted, call) && strcmp(wanted, "any")) return 0;
  int number = __atomic_add_fetch(&seen, 1, __ATOMIC_SEQ_CST);
  if (number < first || number > last) return 0;
  if (!error_number) kill(getpid(), SIGKILL);
  errno = error_number;
  return 1;
}

static int fails_at(const char *call, int descriptor) {
  char link[64], path[PATH_MAX];
  if (!wanted[0]) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  int before = errno;
  ssize_t length = readlink(link, path, sizeof path - 1);
  errno = before;
  if (length < 0) return 0;
  path[length] = 0;
  return fails(call, path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define BY_DESCRIPTOR(kind, type, name, parameters, ...)        \
  type name parameters {                                        \
    return fails_at(kind, descriptor) ? -1 : REAL(name)(__VA_ARGS__); \
  }
#define BY_PATH(kind, name, parameters, ...)                    \
  int name parameters { return fails(kind, path) ? -1 : REAL(name)(__VA_ARGS__); }

BY_DESCRIPTOR("write", ssize_t, write, (int descriptor, const void *data, size_t size), descriptor,
              data, size)
BY_DESCRIPTOR("write", ssize_t, pwrite64,
              (int descriptor, const void *data, size_t size, off64_t offset), descriptor, data,
              size, offset)
BY_DESCRIPTOR("read", ssize_t, read, (int descriptor, void *data, size_t size), descriptor, data,
              size)
BY_DESCRIPTOR("fsync", int, fsync, (int descriptor), descriptor)
BY_DESCRIPTOR("ftruncate", int, ftruncate64, (int descriptor, off64_t size), descriptor, size)
BY_DESCRIPTOR("unlink", int, unlinkat, (int descriptor, const char *name, int flags), descriptor,
              name, flags)
BY_PATH("unlink", unlink, (const char *path), path)
BY_PATH("unlink", rmdir, (const char *path), path)
BY_PATH("rename", rename, (const char *path, const char *to), path, to)
BY_PATH("mkdir", mkdir, (const char *path, mode_t mode), path, mode)

ssize_t copy_file_range(int from, off64_t *from_offset, int descriptor, off64_t *offset,
                        size_t size, unsigned flags) {
  if (fails_at("copy", descriptor)) return -1;
  return REAL(copy_file_range)(from, from_offset, descriptor, offset, size, flags);
}

#define OPEN(name)                                                 \
  int name(const char *path, int flags, ...) {                     \
    va_list rest;                                                  \
    va_start(rest, flags);                                         \
    int mode = va_arg(rest, int);                                  \
    va_end(rest);                                                  \
    return fails("open", path) ? -1 : REAL(name)(path, flags, mode); \
  }
OPEN(open)
OPEN(open64)
