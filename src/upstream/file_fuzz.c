/*
 * Any bytes as a file of endpoints: what is taken keeps the limits and holds each address once, and
 * written again it reads the same; what is refused has a line that is there and a reason.
 */
#include "base/assert.h"

#include "upstream_private.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct upstream_plan plan;
static struct upstream_plan again;

static void
plan_check(void)
{
    ASSERT(plan.count > 0);
    ASSERT(plan.count <= UPSTREAM_ENDPOINTS_MAX);
    for (size_t i = 0; i < plan.count; i++) {
        const struct upstream_target *target = &plan.targets[i];
        ASSERT(memchr(target->host, 0, sizeof(target->host)) != NULL);
        ASSERT(target->host[0] != '\0');
        ASSERT(target->port != 0);
        ASSERT(target->share.weight >= 1);
        ASSERT(target->share.weight <= BALANCE_WEIGHT_MAX);
        ASSERT(target->share.priority <= BALANCE_PRIORITY_MAX);
        for (size_t j = 0; j < i; j++) {
            bool same_host = span_equal_nocase(
                span_from_cstr(plan.targets[j].host), span_from_cstr(target->host));
            ASSERT(!same_host || plan.targets[j].port != target->port);
        }
    }
}

static void
plan_write(struct buf *out)
{
    for (size_t i = 0; i < plan.count; i++) {
        const struct upstream_target *target = &plan.targets[i];
        bool is_ipv6 = strchr(target->host, ':') != NULL;
        buf_append_format(
            out,
            is_ipv6 ? "[%s]:%u weight=%u priority=%u\n" : "%s:%u weight=%u priority=%u\n",
            target->host,
            (unsigned)target->port,
            target->share.weight,
            target->share.priority);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t line = 0;
    const char *reason = NULL;
    err_t result = upstream_file_parse(span_of(data, size), &plan, &line, &reason);
    if (result != ERR_OK) {
        ASSERT(result == ERR_INVALID || result == ERR_FULL);
        ASSERT(reason != NULL);
        ASSERT(line <= size + 1);
        return 0;
    }
    plan_check();
    struct buf out;
    buf_init(&out, 1 << 20);
    plan_write(&out);
    ASSERT(!buf_failed(&out));
    result = upstream_file_parse(buf_span(&out), &again, &line, &reason);
    ASSERT(result == ERR_OK);
    ASSERT(upstream_plan_equal(&plan, &again));
    ASSERT(upstream_plan_equal(&again, &plan));
    buf_release(&out);
    return 0;
}
