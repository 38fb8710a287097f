/*
 * Traces that were kept: shown to operators, and sent to Zipkin or to an OpenTelemetry collector.
 *
 *     traces_create(&parts, &traces, message);
 *     ... traces_recorder(traces) goes to whoever begins parts ...
 *     net_loop_start(loop);
 *     ...
 *     traces_drain(traces);          the loop still runs, nobody records any more
 *     net_loop_stop(loop);
 *     traces_destroy(&traces);
 *
 * TRACES-1  Nobody waits for an exporter: parts come as tasks, and what cannot be sent in time is
 *           dropped and counted.
 * TRACES-2  Memory is bounded: TRACES_BATCHES_MAX batches of an exporter, `recent_max` parts to
 *           show, whatever a collector does.
 * TRACES-3  A batch is sent again only where its standard says so, TRACES_TRIES_MAX times at most.
 * TRACES-4  No card number leaves in a span: texts are masked as in logs (TRACE-2).
 */
#ifndef TRACES_TRACES_H
#define TRACES_TRACES_H

#include "net/loop.h"
#include "net/server.h"
#include "trace/log.h"
#include "trace/recorder.h"

struct traces;

#define TRACES_BATCHES_MAX  16         /* of an exporter: closed, and not sent yet */
#define TRACES_BATCH_SPANS  512        /* then it is closed */
#define TRACES_BATCH_BYTES  (1U << 20) /* likewise */
#define TRACES_TRIES_MAX    5
#define TRACES_MESSAGE_SIZE 256

enum traces_format {
    TRACES_ZIPKIN, /* Zipkin API v2, JSON */
    TRACES_OTLP,   /* OTLP 1.x over HTTP, JSON */
    TRACES_FORMAT_COUNT,
};

struct traces_settings {
    struct trace_recorder_settings recorder; /* parts_max: without those that are shown */
    uint32_t recent_max;                     /* kept traces to show; 0: none */
    uint32_t interval_ms;                    /* a batch that is not full is sent after this */
    const char *service;                     /* service.name */
    const char *version;                     /* service.version */
    /* By enum traces_format; empty: no such exporter. OTLP: the base, behind which /v1/traces is
     * put; Zipkin: the same with /api/v2/spans, unless it has a path. */
    const char *endpoints[TRACES_FORMAT_COUNT];
    const char *ca_file; /* PEM, for https; NULL: the system's */
    /* Of each request to the OTLP collector: "Name: value" a line, 16 at most. Copied, and wiped in
     * the end; a line that is wrong is told without its text. */
    struct span otlp_headers;
};

struct traces_parts {
    struct net_loop *loop; /* its own */
    struct os_clock *clock;
    struct os_entropy *entropy;
    struct trace_log *log;
    struct traces_settings settings;
};

/* ERR_INVALID: an endpoint is not http:// or https:// with a host, or headers; ERR_NOT_FOUND,
 * ERR_CRYPTO: ca_file; ERR_MEMORY. `message` says what is wrong. */
MUST_USE err_t traces_create(
    const struct traces_parts *parts,
    struct traces **ret_traces,
    char message[TRACES_MESSAGE_SIZE]);
/* Sends what waits, for `wait_ms` at most, and lets nobody ask any more. Not from the loop's
 * thread. */
void traces_drain(struct traces *traces, uint32_t wait_ms);
/* After the loop has stopped, and everybody who recorded. Accepts NULL; sets the pointer to NULL.
 */
void traces_destroy(struct traces **traces);

/* NULL if nothing would become of what is recorded: no exporter, nothing to show. */
struct trace_recorder *traces_recorder(struct traces *traces);

/*
 * What operators ask for, as Zipkin's own API has it, so that its clients can read it:
 *     GET /api/v2/trace/ID                                   the spans of a trace
 *     GET /api/v2/traces?annotationQuery=KEY=VALUE&limit=N   traces with such an attribute
 * True: the exchange is answered later, from the traces' loop. False: it is not one of these, or
 * they are being drained. From any thread.
 */
bool traces_operate(struct traces *traces, struct net_exchange *exchange);

struct traces_counters {
    uint64_t sent;     /* spans, accepted */
    uint64_t rejected; /* spans, by the collector */
    uint64_t dropped;  /* spans, because the queue was full, or tries were used up */
    uint64_t failures; /* requests that failed */
    uint64_t retries;  /* requests that were made again */
    uint64_t queued;   /* gauge: spans that wait */
};

/* From any thread. */
void traces_count(
    const struct traces *traces, enum traces_format format, struct traces_counters *ret_counters);
uint64_t traces_recent_count(const struct traces *traces); /* gauge */

#endif
