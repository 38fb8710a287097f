/*
 * The log: one JSON object a line, to a file descriptor.
 *
 *   {"time":"2026-01-02T03:04:05.678Z","level":"info","component":"ledger","trace":"4bf9...",
 *    "message":"batch committed","transfers":8190}
 *
 * Any bytes may be logged: what is no UTF-8 is written as U+FFFD. Card numbers are masked in every
 * text and number, and values of fields with a secret's name are left out (trace/redact.h) before
 * anything is written. Only a trace id of 32 hexadecimal digits is written as it is. A line has at
 * most TRACE_LINE_MAX bytes: what does not fit is left out and the line ends with "truncated":true.
 *
 * Thread-safe, except init and release. A line is written with one write(2) under a lock, so lines
 * do not mix. It may block if the descriptor does. A line that cannot be written is counted, never
 * reported to the caller: nothing fails because its log did.
 *
 * Example:
 *   TRACE_LOG(log, TRACE_INFO, "ledger", request->trace_id, "batch committed",
 *             trace_u64("transfers", count), trace_text("shard", shard_name));
 */
#ifndef TRACE_LOG_H
#define TRACE_LOG_H

#include "base/span.h"

#include <pthread.h>
#include <stdatomic.h>

struct os_clock;

#define TRACE_LINE_MAX 8192 /* bytes, with the newline */

enum trace_level {
    TRACE_DEBUG,
    TRACE_INFO,
    TRACE_WARNING,
    TRACE_ERROR,
};

enum trace_field_kind {
    TRACE_FIELD_TEXT,
    TRACE_FIELD_I64,
    TRACE_FIELD_U64,
    TRACE_FIELD_BOOLEAN,
};

/* Keys are snake_case and none of time, level, component, trace, message, truncated. */
struct trace_field {
    const char *key; /* NULL: no field */
    enum trace_field_kind kind;

    union {
        struct span text; /* borrowed for the call */
        int64_t i64;
        uint64_t u64;
        bool boolean;
    };
};

struct trace_entry {
    enum trace_level level;
    const char *component; /* the module or service that speaks */
    struct span trace_id;  /* of the request; empty: the line has no "trace" */
    struct span message;   /* a constant sentence; what varies goes into fields */
    const struct trace_field *fields;
    size_t field_count;
};

/* In the owner's memory; the members are private. */
struct trace_log {
    int fd;
    struct os_clock *clock;
    atomic_int level;
    atomic_uint_fast64_t dropped;
    pthread_mutex_t lock; /* holds: the descriptor, torn */
    bool torn;            /* the last write ended within a line */
};

/* Borrows both until release; never closes the descriptor. Level TRACE_INFO. */
void trace_log_init(struct trace_log *log, int fd, struct os_clock *clock);
/* When nobody writes to it any more. */
void trace_log_release(struct trace_log *log);

/* Entries below the level are not written. Any thread, at any time. */
void trace_log_set_level(struct trace_log *log, enum trace_level level);
/* Whether an entry of this level would be written. Any thread. */
bool trace_log_enabled(const struct trace_log *log, enum trace_level level);
/* "debug", "info", "warning", "error". */
bool trace_level_parse(struct span text, enum trace_level *ret_level);
/* Static. */
const char *trace_level_name(enum trace_level level);

/* One line, whole, or counted as dropped. Any thread; blocks for as long as the descriptor does,
 * and leaves errno as it was. */
void trace_log_write(struct trace_log *log, const struct trace_entry *entry);
/* Lines that could not be written, whole or in part. */
uint64_t trace_log_dropped(const struct trace_log *log);

/* The line of an entry, newline included, without writing it; returns its size. */
size_t trace_line_format(
    const struct trace_entry *entry, uint64_t wall_ns, char out[TRACE_LINE_MAX]);

/* RFC 3339 in UTC with milliseconds, and a zero. */
#define TRACE_TIME_SIZE 25
void trace_time_format(uint64_t wall_ns, char out[TRACE_TIME_SIZE]);

static inline struct trace_field
trace_text(const char *key, struct span text)
{
    return (struct trace_field){.key = key, .kind = TRACE_FIELD_TEXT, .text = text};
}

static inline struct trace_field
trace_cstr(const char *key, const char *text)
{
    return trace_text(key, span_from_cstr(text));
}

static inline struct trace_field
trace_i64(const char *key, int64_t value)
{
    return (struct trace_field){.key = key, .kind = TRACE_FIELD_I64, .i64 = value};
}

static inline struct trace_field
trace_u64(const char *key, uint64_t value)
{
    return (struct trace_field){.key = key, .kind = TRACE_FIELD_U64, .u64 = value};
}

static inline struct trace_field
trace_boolean(const char *key, bool value)
{
    return (struct trace_field){.key = key, .kind = TRACE_FIELD_BOOLEAN, .boolean = value};
}

/* log, level, component, trace id (a span), message (a literal), then any number of fields, which
 * are evaluated only if the level is enabled. */
#define TRACE_LOG(log_, level_, component_, trace_id_, message_, ...)                              \
    do {                                                                                           \
        if (trace_log_enabled((log_), (level_))) {                                                 \
            const struct trace_field trace_fields_[] = {{.key = NULL}, ##__VA_ARGS__};             \
            const struct trace_entry trace_entry_ = {                                              \
                .level = (level_),                                                                 \
                .component = (component_),                                                         \
                .trace_id = (trace_id_),                                                           \
                .message = SPAN(message_),                                                         \
                .fields = trace_fields_,                                                           \
                .field_count = sizeof(trace_fields_) / sizeof(trace_fields_[0]),                   \
            };                                                                                     \
            trace_log_write((log_), &trace_entry_);                                                \
        }                                                                                          \
    } while (0)

#endif
