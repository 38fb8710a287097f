/* What becomes of traces, for the commands that serve: the settings that they share, and metrics.
 */
#ifndef TAEL_TRACING_H
#define TAEL_TRACING_H

#include "option.h"

#include "traces/traces.h"

#define TRACING_URL_SIZE  512
#define TRACING_PATH_SIZE 1024

struct tracing_settings {
    char service[64];
    char otlp[TRACING_URL_SIZE];
    char zipkin[TRACING_URL_SIZE];
    char otlp_headers_file[TRACING_PATH_SIZE];
    char ca[TRACING_PATH_SIZE];
    char sampler[32];
    char sampler_arg[16];
    int64_t slow; /* ms */
    int64_t recent;
    int64_t parts_max;
    int64_t interval; /* ms */
};

/* Rows of the table of a command whose settings, of this type, have them as `member`. */
#define TRACING_SETTINGS(type, member, service_)                                                   \
    OPTION_USUAL(                                                                                  \
        type,                                                                                      \
        member.service,                                                                            \
        "trace-service",                                                                           \
        service_,                                                                                  \
        "OTEL_SERVICE_NAME",                                                                       \
        "service.name of traces."),                                                                \
        OPTION_USUAL(                                                                              \
            type,                                                                                  \
            member.otlp,                                                                           \
            "trace-otlp",                                                                          \
            "",                                                                                    \
            "OTEL_EXPORTER_OTLP_ENDPOINT",                                                         \
            "Traces go to this OpenTelemetry collector, http://host:4318 (OTLP, JSON)."),          \
        OPTION_TEXT(                                                                               \
            type,                                                                                  \
            member.otlp_headers_file,                                                              \
            "trace-otlp-headers-file",                                                             \
            "",                                                                                    \
            "A file with headers for that collector (authorization, say), NAME: VALUE a line."),   \
        OPTION_USUAL(                                                                              \
            type,                                                                                  \
            member.zipkin,                                                                         \
            "trace-zipkin",                                                                        \
            "",                                                                                    \
            "OTEL_EXPORTER_ZIPKIN_ENDPOINT",                                                       \
            "Traces go to this Zipkin server, http://host:9411."),                                 \
        OPTION_USUAL(                                                                              \
            type,                                                                                  \
            member.ca,                                                                             \
            "trace-ca",                                                                            \
            "",                                                                                    \
            "OTEL_EXPORTER_OTLP_CERTIFICATE",                                                      \
            "PEM file: authorities that collectors are believed by, instead of the system's."),    \
        OPTION_USUAL(                                                                              \
            type,                                                                                  \
            member.sampler,                                                                        \
            "trace-sampler",                                                                       \
            "parentbased_always_on",                                                               \
            "OTEL_TRACES_SAMPLER",                                                                 \
            "Which traces are kept: always_on, always_off, traceidratio, or one of these behind "  \
            "parentbased_. Errors and slow ones are kept beside."),                                \
        OPTION_USUAL(                                                                              \
            type,                                                                                  \
            member.sampler_arg,                                                                    \
            "trace-sampler-arg",                                                                   \
            "",                                                                                    \
            "OTEL_TRACES_SAMPLER_ARG",                                                             \
            "The ratio of traceidratio, 0 to 1."),                                                 \
        OPTION_DURATION(                                                                           \
            type,                                                                                  \
            member.slow,                                                                           \
            "trace-slow",                                                                          \
            "1s",                                                                                  \
            0,                                                                                     \
            3600000,                                                                               \
            "Slower requests are kept; 0: none is."),                                              \
        OPTION_NUMBER(                                                                             \
            type,                                                                                  \
            member.recent,                                                                         \
            "trace-recent",                                                                        \
            "256",                                                                                 \
            0,                                                                                     \
            65536,                                                                                 \
            "traces",                                                                              \
            "Kept for tael trace."),                                                               \
        OPTION_NUMBER(                                                                             \
            type,                                                                                  \
            member.parts_max,                                                                      \
            "trace-parts-max",                                                                     \
            "4096",                                                                                \
            2,                                                                                     \
            65536,                                                                                 \
            "requests",                                                                            \
            "Recorded at a time; others have a trace id only."),                                   \
        OPTION_DURATION(                                                                           \
            type,                                                                                  \
            member.interval,                                                                       \
            "trace-interval",                                                                      \
            "1s",                                                                                  \
            1,                                                                                     \
            60000,                                                                                 \
            "Until a batch of spans is sent.")

struct tracing_parts {
    struct net_loop *loop; /* its own */
    struct os_clock *clock;
    struct os_entropy *entropy;
    struct trace_log *log;
};

/* ERR_INVALID and what traces_create answers; `message` says which setting is wrong. */
MUST_USE err_t tracing_open(
    const struct tracing_settings *settings,
    const struct tracing_parts *parts,
    struct traces **ret_traces,
    char message[TRACES_MESSAGE_SIZE]);

/* As Prometheus has them. */
void tracing_metrics(struct traces *traces, struct buf *out);

#endif
