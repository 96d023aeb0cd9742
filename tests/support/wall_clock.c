/* Preloaded: the wall clock is ahead by as many seconds as stand in the file $WALL_CLOCK_AHEAD. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double ahead(void) {
    double seconds = 0;
    const char *path = getenv("WALL_CLOCK_AHEAD");
    FILE *file = path ? fopen(path, "r") : NULL;
    if (file) {
        if (fscanf(file, "%lf", &seconds) != 1) seconds = 0;
        fclose(file);
    }
    return seconds;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (failed || clock != CLOCK_REALTIME) return failed;
    long long nanoseconds = (long long)(ahead() * 1e9) + now->tv_nsec;
    long long seconds = nanoseconds / 1000000000;
    if (nanoseconds % 1000000000 < 0) seconds -= 1;
    now->tv_sec += seconds;
    now->tv_nsec = nanoseconds - seconds * 1000000000;
    return 0;
}
