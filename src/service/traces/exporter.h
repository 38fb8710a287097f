/*
 * One exporter: parts become spans in a batch, batches wait in a queue, one is under way at a time.
 *
 *     part --> open batch --full, or interval over--> queue --> POST --> accepted
 *                                       |                        |  \--> sent again, after a while
 *                                       v                        v
 *                                    dropped                  dropped
 *
 * Everything runs on its net loop but create, destroy and count.
 */
#ifndef TRACES_EXPORTER_H
#define TRACES_EXPORTER_H

#include "headers.h"
#include "traces/traces.h"
#include "url.h"

#include "net/client.h"

struct traces_exporter;

struct traces_exporter_parts {
    struct net_loop *loop;
    struct os_entropy *entropy;
    struct trace_log *log;
    struct net_tls *tls; /* for https */
    enum traces_format format;
    struct traces_url url; /* copied as far as it is needed */
    uint32_t interval_ms;
    const char *service, *version;        /* borrowed until it is destroyed */
    const struct traces_headers *headers; /* the same; NULL: none */
    char instance[40];
};

MUST_USE err_t traces_exporter_create(
    const struct traces_exporter_parts *parts, struct traces_exporter **ret_exporter);
void traces_exporter_add(struct traces_exporter *exporter, const struct trace_part *part);
/* Closes the open batch; nothing is sent again any more. */
void traces_exporter_finish(struct traces_exporter *exporter);
/* After finish: nothing new is sent, what comes is dropped. */
void traces_exporter_seal(struct traces_exporter *exporter);
/* Any thread: nothing waits and nothing is under way. */
bool traces_exporter_is_idle(const struct traces_exporter *exporter);
/* After seal. Ends what is under way. The loop runs; not from its thread. */
void traces_exporter_stop(struct traces_exporter *exporter);
/* After stop, or if the loop never ran. Accepts NULL. */
void traces_exporter_destroy(struct traces_exporter **exporter);
void traces_exporter_count(
    const struct traces_exporter *exporter, struct traces_counters *ret_counters);

#endif
