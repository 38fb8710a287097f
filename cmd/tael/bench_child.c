/* Programs that a benchmark starts: their output, their end, and what they used. */
#include "bench.h"

#include "base/assert.h"
#include "base/span.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define VARIABLES_MAX 512

/* In the child, between fork and exec. */
static _Noreturn void
become(char *const *argv, int out, pid_t parent)
{
    enum {
        NOT_STARTED = 127
    };

    char *variables[VARIABLES_MAX + 1];
    size_t count = 0;
    for (char **at = environ; *at != NULL && count < VARIABLES_MAX; at++) {
        if (strncmp(*at, "TAEL_", strlen("TAEL_")) != 0 &&
            strncmp(*at, "OTEL_", strlen("OTEL_")) != 0) {
            variables[count++] = *at;
        }
    }
    variables[count] = NULL;
    /* getppid: the parent may have ended before the wish was known. */
    if (dup2(out, STDOUT_FILENO) >= 0 && prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 &&
        getppid() == parent) {
        (void)execve(argv[0], argv, variables);
    }
    _exit(NOT_STARTED);
}

err_t
bench_child_start(char *const *argv, struct bench_child *child)
{
    int ends[2];
    ASSERT(child->pid == 0);
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return ERR_IO;
    }
    pid_t parent = getpid();
    (void)fflush(stdout); /* or the child would print it again */
    pid_t pid = fork();
    if (pid == 0) {
        become(argv, ends[1], parent);
    }
    (void)close(ends[1]);
    FILE *out = pid < 0 ? NULL : fdopen(ends[0], "r");
    if (out == NULL) {
        (void)close(ends[0]);
        if (pid > 0) {
            *child = (struct bench_child){.pid = pid};
            (void)bench_child_end(child, SIGTERM);
        }
        return ERR_IO;
    }
    *child = (struct bench_child){.pid = pid, .out = out};
    return ERR_OK;
}

bool
bench_child_end(struct bench_child *child, int signal_number)
{
    int status = 0;
    if (child->pid == 0) {
        return true;
    }
    if (signal_number != 0) {
        (void)kill(child->pid, signal_number);
    }
    pid_t ended = 0;
    do {
        ended = waitpid(child->pid, &status, 0);
    } while (ended < 0 && errno == EINTR);
    if (child->out != NULL) {
        (void)fclose(child->out);
    }
    bool good = ended == child->pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    *child = (struct bench_child){.pid = 0};
    return good;
}

/* A file of /proc, which tells no size: what fits. */
static struct span
read_proc(pid_t pid, const char *name, char *out, size_t room)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return SPAN_EMPTY;
    }
    size_t size = fread(out, 1, room, file);
    (void)fclose(file);
    return span_of(out, size);
}

/* utime, stime and rss of proc(5) stat, fields 14, 15 and 24; the name in field 2 may hold
 * anything, so counting begins behind its last parenthesis, with field 3. */
static err_t
read_stat(pid_t pid, struct bench_child_usage *usage)
{
    enum {
        USER_FIELD = 14,
        SYSTEM_FIELD = 15,
        RESIDENT_FIELD = 24
    };

    char text[2048];
    struct span rest = read_proc(pid, "stat", text, sizeof(text));
    const char *close = rest.size == 0 ? NULL : memrchr(rest.data, ')', rest.size);
    if (close == NULL) {
        return ERR_IO;
    }
    rest = span_slice(rest, (size_t)(close - rest.data) + 2, rest.size);
    uint64_t ticks = 0;
    uint64_t pages = 0;
    for (int field = 3; field <= RESIDENT_FIELD; field++) {
        struct span word = span_cut(&rest, ' ');
        bool time = field == USER_FIELD || field == SYSTEM_FIELD;
        uint64_t value = 0;
        if ((time || field == RESIDENT_FIELD) && !span_parse_u64(word, &value)) {
            return ERR_IO;
        }
        ticks += time ? value : 0;
        pages = value;
    }
    usage->cpu_ns = ticks * (OS_NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK));
    usage->resident_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    return ERR_OK;
}

/* write_bytes of proc(5) io; only the same user may read it, and only of a process that may be
 * dumped. */
static bool
read_written(pid_t pid, uint64_t *ret_bytes)
{
    char text[2048];
    struct span rest = read_proc(pid, "io", text, sizeof(text));
    while (rest.size > 0) {
        struct span line = span_cut(&rest, '\n');
        struct span name = span_cut(&line, ':');
        if (span_equal(name, SPAN("write_bytes"))) {
            return span_parse_u64(span_trim(line), ret_bytes);
        }
    }
    return false;
}

err_t
bench_child_usage(const struct bench_child *child, struct bench_child_usage *usage)
{
    struct bench_child_usage now = {.cpu_ns = 0};
    ASSERT(child->pid > 0);
    TRY(read_stat(child->pid, &now));
    now.has_written = read_written(child->pid, &now.written_bytes);
    *usage = now;
    return ERR_OK;
}

struct bench_child_usage
bench_child_usage_between(
    const struct bench_child_usage *before, const struct bench_child_usage *after)
{
    return (struct bench_child_usage){
        .cpu_ns = after->cpu_ns - before->cpu_ns,
        .written_bytes = after->written_bytes - before->written_bytes,
        .resident_bytes = after->resident_bytes,
        .has_written = before->has_written && after->has_written,
    };
}
