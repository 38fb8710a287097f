#include "os/fault.h"

#include "base/span.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define FAULTS_MAX 16

enum fault_action {
    FAULT_CRASH,
    FAULT_FAIL,
    FAULT_DELAY,
};

struct fault {
    struct span name;
    enum fault_action action;
    uint64_t only_hit; /* counted from 1; 0: every one */
    uint64_t delay_ms;
    _Atomic uint64_t hits;
};

static struct fault faults[FAULTS_MAX];
static size_t fault_count;
static pthread_once_t faults_read = PTHREAD_ONCE_INIT;

static bool
fault_parse(struct span text, struct fault *fault)
{
    struct span action = text;
    struct span name = span_cut(&action, ':');
    struct span hit = name;
    fault->name = span_cut(&hit, '@');
    if (hit.size > 0 && !span_parse_u64(hit, &fault->only_hit)) {
        return false;
    }
    struct span delay = action;
    struct span verb = span_cut(&delay, '=');
    if (span_equal_cstr(verb, "delay")) {
        fault->action = FAULT_DELAY;
        return fault->name.size > 0 && span_parse_u64(delay, &fault->delay_ms);
    }
    if (span_equal_cstr(action, "crash")) {
        fault->action = FAULT_CRASH;
    } else if (span_equal_cstr(action, "error")) {
        fault->action = FAULT_FAIL;
    } else {
        return false;
    }
    return fault->name.size > 0;
}

static void
read_faults(void)
{
    /* Nobody changes the environment of a test. */
    struct span rest = span_from_cstr(getenv("TAEL_FAULT")); // NOLINT(concurrency-mt-unsafe)
    while (rest.size > 0) {
        struct span text = span_cut(&rest, ',');
        if (fault_count == FAULTS_MAX || !fault_parse(text, &faults[fault_count])) {
            (void)fprintf(stderr, "TAEL_FAULT: not understood: %.*s\n", SPAN_PRINTF(text));
            abort();
        }
        fault_count++;
    }
}

static void
sleep_ms(uint64_t duration_ms)
{
    struct timespec rest = {
        .tv_sec = (time_t)(duration_ms / 1000),
        .tv_nsec = (long)(duration_ms % 1000) * 1000000,
    };
    while (nanosleep(&rest, &rest) != 0) {
    }
}

bool
os_fault_hit(const char *name)
{
    (void)pthread_once(&faults_read, read_faults);
    bool fail = false;
    for (size_t i = 0; i < fault_count; i++) {
        struct fault *fault = &faults[i];
        if (!span_equal_cstr(fault->name, name)) {
            continue;
        }
        uint64_t hit = atomic_fetch_add(&fault->hits, 1) + 1;
        if (fault->only_hit != 0 && fault->only_hit != hit) {
            continue;
        }
        switch (fault->action) {
        case FAULT_CRASH:
            (void)kill(getpid(), SIGKILL);
            break;
        case FAULT_FAIL:
            fail = true;
            break;
        case FAULT_DELAY:
            sleep_ms(fault->delay_ms);
            break;
        }
    }
    return fail;
}
