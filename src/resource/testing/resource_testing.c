#include "resource_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define KINDS_MAX 32

static void
tokenize(struct port_vault *vault, struct port_vault_tokenize *request)
{
    (void)vault;
    (void)request;
    fail();
}

static struct port_vault no_vault = {.tokenize = tokenize};

static void
no_log(
    void *context,
    const char *request_id,
    const struct trace_context *trace,
    err_t code,
    const char *what)
{
    (void)context;
    (void)request_id;
    (void)trace;
    (void)code;
    (void)what;
}

struct resource_parts
t_runtime_parts(struct os_sim *sim, struct os_loop *loop, struct document_store *documents)
{
    return (struct resource_parts){
        .loop = loop,
        .clock = os_sim_clock(sim),
        .entropy = os_sim_entropy(sim),
        .documents = documents,
        .vault = &no_vault,
        .settings =
            {
                .rate_per_key = 1000000,
                .lock_wait_ns = 5 * OS_NS_PER_S,
                .lock_waiters_max = 100,
                .operations_max = 1000,
                .idempotency_keep_ns = 24 * 3600 * OS_NS_PER_S,
            },
        .log = no_log,
    };
}

struct document_store *
t_documents_open(const char *url, const struct document_kind *const *kinds, uint32_t count)
{
    const struct document_kind *all[KINDS_MAX];
    char message[DOCUMENT_MESSAGE_SIZE];
    uint32_t all_count = 0;
    struct document_store *store = NULL;
    assert_true(resource_kind_count + count <= KINDS_MAX);
    for (uint32_t i = 0; i < resource_kind_count; i++) {
        all[all_count++] = resource_kinds[i];
    }
    for (uint32_t i = 0; i < count; i++) {
        all[all_count++] = kinds[i];
    }
    /* The store keeps the kinds' addresses, not this array. */
    if (document_store_open(url, all, all_count, &store, message) != ERR_OK) {
        fail_msg("%s", message);
    }
    return store;
}
