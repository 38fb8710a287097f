/* The parts that were kept last, to be shown. One thread. */
#ifndef TRACES_RECENT_H
#define TRACES_RECENT_H

#include "base/buf.h"
#include "trace/recorder.h"

struct traces_recent {
    struct trace_part **parts; /* a ring of `size`, the oldest at `first` */
    uint32_t size;
    uint32_t first;
    uint32_t count;
};

/* `size` may be 0: then nothing stays. */
MUST_USE err_t traces_recent_init(struct traces_recent *recent, uint32_t size);
/* Gives back what it holds. */
void traces_recent_release(struct traces_recent *recent);
/* Takes the part; the oldest makes room. */
void traces_recent_add(struct traces_recent *recent, struct trace_part *part);

/* A JSON array of the trace's spans, of all its parts that are here. False: none is. */
bool traces_recent_trace(
    const struct traces_recent *recent, u128 trace_id, const char *service, struct buf *out);
/* A JSON array of traces, each an array of spans, the newest first, at most `limit`: those with a
 * span that has this attribute. An empty key: all. */
void traces_recent_find(
    const struct traces_recent *recent,
    struct span key,
    struct span value,
    uint32_t limit,
    const char *service,
    struct buf *out);

#endif
