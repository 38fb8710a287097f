/* What recorder.c and span.c share. */
#ifndef TRACE_RECORDER_PRIVATE_H
#define TRACE_RECORDER_PRIVATE_H

#include "trace/recorder.h"

struct trace_recorder {
    struct trace_recorder_parts parts;
    struct trace_part *all; /* parts_max of them */
    /* The free parts, a stack: 1 + index of the top in the low half, in the high half a count of
     * changes, so that a top that went and came back is seen to have. */
    atomic_uint_least64_t free;
    atomic_uint kept_count;
    atomic_uint_least64_t begun, refused, sampled, failed, slow, dropped, lost, orphaned;
};

/* NULL: all are in use. */
struct trace_part *trace_part_take(struct trace_recorder *recorder);
/* Its last span is over. */
void trace_part_over(struct trace_part *part);

#endif
