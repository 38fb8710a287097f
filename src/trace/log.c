#include "trace/log.h"

#include "base/assert.h"
#include "os/clock.h"

#include <errno.h>
#include <unistd.h>

static const char *const level_names[] = {
    [TRACE_DEBUG] = "debug",
    [TRACE_INFO] = "info",
    [TRACE_WARNING] = "warning",
    [TRACE_ERROR] = "error",
};

void
trace_log_init(struct trace_log *log, int fd, struct os_clock *clock)
{
    ASSERT(fd >= 0);
    ASSERT(clock != NULL);
    log->fd = fd;
    log->clock = clock;
    log->torn = false;
    atomic_init(&log->level, TRACE_INFO);
    atomic_init(&log->dropped, 0);
    int result = pthread_mutex_init(&log->lock, NULL);
    ASSERT(result == 0);
}

void
trace_log_release(struct trace_log *log)
{
    int result = pthread_mutex_destroy(&log->lock);
    ASSERT(result == 0);
    log->fd = -1;
}

void
trace_log_set_level(struct trace_log *log, enum trace_level level)
{
    atomic_store_explicit(&log->level, (int)level, memory_order_relaxed);
}

bool
trace_log_enabled(const struct trace_log *log, enum trace_level level)
{
    return (int)level >= atomic_load_explicit(&log->level, memory_order_relaxed);
}

bool
trace_level_parse(struct span text, enum trace_level *ret_level)
{
    for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
        if (span_equal_cstr(text, level_names[i])) {
            *ret_level = (enum trace_level)i;
            return true;
        }
    }
    return false;
}

const char *
trace_level_name(enum trace_level level)
{
    ASSERT((size_t)level < sizeof(level_names) / sizeof(level_names[0]));
    return level_names[level];
}

/* Bytes written before a failure. A pipe or a disk may take less than it was given. */
static size_t
write_all(int fd, const char *data, size_t size)
{
    size_t written = 0;
    while (written < size) {
        ssize_t result = write(fd, data + written, size - written);
        if (result > 0) {
            written += (size_t)result;
        } else if (result == 0 || errno != EINTR) {
            break;
        }
    }
    return written;
}

void
trace_log_write(struct trace_log *log, const struct trace_entry *entry)
{
    if (!trace_log_enabled(log, entry->level)) {
        return;
    }
    int saved_errno = errno;
    /* Byte 0 is the newline that ends a torn line, so that the next one is whole. */
    char line[1 + TRACE_LINE_MAX];
    line[0] = '\n';
    size_t size = trace_line_format(entry, os_wall_ns(log->clock), line + 1);
    (void)pthread_mutex_lock(&log->lock);
    size_t skipped = log->torn ? 0 : 1;
    size_t wanted = size + 1 - skipped;
    size_t written = write_all(log->fd, line + skipped, wanted);
    if (written < wanted) {
        atomic_fetch_add_explicit(&log->dropped, 1, memory_order_relaxed);
        /* If only the newline went out, or nothing did, the next line begins where this did. */
        log->torn = written > 1 - skipped || (log->torn && written == 0);
    } else {
        log->torn = false;
    }
    (void)pthread_mutex_unlock(&log->lock);
    errno = saved_errno;
}

uint64_t
trace_log_dropped(const struct trace_log *log)
{
    return atomic_load_explicit(&log->dropped, memory_order_relaxed);
}
