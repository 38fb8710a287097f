#include "tracing.h"

#include "node.h"

#include "os/file.h"
#include "trace/exposition.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADERS_FILE_MAX 8192

/* The text is the caller's to wipe. */
static err_t
headers_load(
    const struct tracing_settings *settings,
    char **ret_text,
    size_t *ret_size,
    char message[TRACES_MESSAGE_SIZE])
{
    const char *path = settings->otlp_headers_file;
    *ret_text = NULL;
    *ret_size = 0;
    if (path[0] == '\0') {
        return ERR_OK;
    }
    if (settings->otlp[0] == '\0') {
        (void)snprintf(
            message,
            TRACES_MESSAGE_SIZE,
            "trace-otlp-headers-file without trace-otlp sends nothing");
        return ERR_INVALID;
    }
    err_t result = os_file_load(os_disk_real(), path, HEADERS_FILE_MAX, ret_text, ret_size);
    if (result != ERR_OK) {
        (void)snprintf(
            message,
            TRACES_MESSAGE_SIZE,
            "trace-otlp-headers-file: %.160s: %s",
            path,
            err_text(result));
    }
    return result;
}

static err_t
create(
    struct traces_parts *parts,
    const struct tracing_settings *settings,
    struct traces **ret_traces,
    char message[TRACES_MESSAGE_SIZE])
{
    char *headers = NULL;
    size_t size = 0;
    TRY(headers_load(settings, &headers, &size, message));
    parts->settings.otlp_headers = span_of(headers, size);
    err_t result = traces_create(parts, ret_traces, message);
    if (headers != NULL) {
        explicit_bzero(headers, size);
        free(headers);
    }
    return result;
}

err_t
tracing_open(
    const struct tracing_settings *settings,
    const struct tracing_parts *from,
    struct traces **ret_traces,
    char message[TRACES_MESSAGE_SIZE])
{
    struct traces_parts parts = {
        .loop = from->loop,
        .clock = from->clock,
        .entropy = from->entropy,
        .log = from->log,
        .settings =
            {
                .recorder = trace_recorder_settings_default(),
                .recent_max = (uint32_t)settings->recent,
                .interval_ms = (uint32_t)settings->interval,
                .service = settings->service,
                .version = TAEL_VERSION,
                .endpoints =
                    {
                        [TRACES_ZIPKIN] = settings->zipkin,
                        [TRACES_OTLP] = settings->otlp,
                    },
                .ca_file = settings->ca[0] == '\0' ? NULL : settings->ca,
            },
    };
    struct trace_recorder_settings *recorder = &parts.settings.recorder;
    recorder->parts_max = (uint32_t)settings->parts_max;
    recorder->kept_max = (uint32_t)settings->parts_max / 2;
    recorder->slow_ns = (uint64_t)settings->slow * OS_NS_PER_MS;
    if (!trace_sampler_parse(
            span_from_cstr(settings->sampler),
            span_from_cstr(settings->sampler_arg),
            &recorder->sampler)) {
        (void)snprintf(
            message,
            TRACES_MESSAGE_SIZE,
            "trace-sampler is always_on, always_off, traceidratio, or one of these behind "
            "parentbased_; trace-sampler-arg is a number from 0 to 1");
        return ERR_INVALID;
    }
    message[0] = '\0';
    err_t result = create(&parts, settings, ret_traces, message);
    if (result != ERR_OK && message[0] == '\0') {
        (void)snprintf(message, TRACES_MESSAGE_SIZE, "traces: %s", err_text(result));
    }
    return result;
}

static void
exporter_metrics(const struct traces *traces, struct buf *out)
{
    static const char *const names[] = {[TRACES_ZIPKIN] = "zipkin", [TRACES_OTLP] = "otlp"};
    struct traces_counters all[TRACES_FORMAT_COUNT];
    for (uint32_t i = 0; i < TRACES_FORMAT_COUNT; i++) {
        traces_count(traces, (enum traces_format)i, &all[i]);
    }

    static const struct {
        const char *name, *kind, *help;
        size_t offset;
    } metrics[] = {
        {"tael_trace_spans_sent_total",
         "counter",
         "Spans that a collector accepted.",
         offsetof(struct traces_counters, sent)},
        {"tael_trace_spans_rejected_total",
         "counter",
         "Spans that a collector refused.",
         offsetof(struct traces_counters, rejected)},
        {"tael_trace_spans_dropped_total",
         "counter",
         "Spans that could not be sent.",
         offsetof(struct traces_counters, dropped)},
        {"tael_trace_requests_failed_total",
         "counter",
         "Requests to collectors that failed.",
         offsetof(struct traces_counters, failures)},
        {"tael_trace_requests_retried_total",
         "counter",
         "Requests that were made again.",
         offsetof(struct traces_counters, retries)},
        {"tael_trace_spans_queued",
         "gauge",
         "Spans that wait to be sent.",
         offsetof(struct traces_counters, queued)},
    };

    for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
        trace_exposition_head(out, metrics[i].name, metrics[i].kind, metrics[i].help);
        for (uint32_t j = 0; j < TRACES_FORMAT_COUNT; j++) {
            uint64_t value;
            memcpy(&value, (const char *)&all[j] + metrics[i].offset, sizeof(value));
            trace_exposition_value(out, metrics[i].name, TRACE_LABELS("exporter", names[j]), value);
        }
    }
}

void
tracing_metrics(struct traces *traces, struct buf *out)
{
    struct trace_recorder_counters counters = {.begun = 0};
    const struct trace_recorder *recorder = traces_recorder(traces);
    if (recorder != NULL) {
        trace_recorder_count(recorder, &counters);
    }

    const struct node_metric all[] = {
        {"tael_trace_recorded_total",
         "counter",
         "Requests whose spans were recorded.",
         counters.begun},
        {"tael_trace_refused_total",
         "counter",
         "Requests whose spans were not recorded: trace-parts-max were.",
         counters.refused},
        {"tael_trace_dropped_total",
         "counter",
         "Traces that were to be kept: no room.",
         counters.dropped},
        {"tael_trace_spans_lost_total",
         "counter",
         "Spans beyond those that a trace holds.",
         counters.lost},
        {"tael_trace_spans_orphaned_total",
         "counter",
         "Spans begun after their request ended.",
         counters.orphaned},
        {"tael_trace_recent",
         "gauge",
         "Traces that operators can look at.",
         traces_recent_count(traces)},
    };

    node_metrics(out, all, sizeof(all) / sizeof(all[0]));
    static const char kept[] = "tael_trace_kept_total";
    trace_exposition_head(out, kept, "counter", "Traces kept, by why.");
    trace_exposition_value(out, kept, TRACE_LABELS("reason", "sampled"), counters.sampled);
    trace_exposition_value(out, kept, TRACE_LABELS("reason", "error"), counters.failed);
    trace_exposition_value(out, kept, TRACE_LABELS("reason", "slow"), counters.slow);
    exporter_metrics(traces, out);
}
