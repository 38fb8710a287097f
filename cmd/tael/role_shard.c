/*
 * One shard of a ledger that is several: the process whose port takes what the map gives it
 * (docs/internals/shards.md).
 */
#include "roles.h"

#include "base/list.h"
#include "store/store.h"

#include <stdlib.h>

/* While waiting: between looks. */
#define LOOK_MS 50
/* Accounts that are looked at in one go, when a shard starts. */
#define PAGE 8190

struct page {
    struct port_ledger_request request;
    sem_t answered;
    struct ledger_account accounts[PAGE];
};

static void
page_done(struct port_ledger_request *request)
{
    struct page *page = CONTAINER_OF(request, struct page, request);
    (void)sem_post(&page->answered);
}

/* A ledger that another server holds is asked again until it is this one's: so long this process
 * stands by, and serves nobody. */
static err_t
page_ask(struct node *node, struct page *page, const struct port_ledger_filter *filter)
{
    struct os_executor executor = {.post = os_post_now};
    struct ledger_engine_status status;
    do {
        page->request = (struct port_ledger_request){
            .reply_to = &executor,
            .done = page_done,
            .epoch = PORT_LEDGER_EPOCH_MOVER,
            .operation = PORT_LEDGER_QUERY_ACCOUNTS,
            .in.filter = filter,
            .out.accounts = page->accounts,
        };
        node->ledger_port->submit(node->ledger_port, &page->request);
        while (sem_wait(&page->answered) != 0) {
        }
        ledger_engine_status(node->engine, &status);
        if (page->request.error != ERR_BUSY || status.health == LEDGER_ENGINE_FAILED) {
            atomic_store(&node->waits_for, NULL);
            atomic_store(&node->stands_by, false);
            return page->request.error;
        }
        atomic_store(&node->stands_by, status.health == LEDGER_ENGINE_STANDBY);
        atomic_store(&node->waits_for, "ledger, which another server holds");
    } while (node_pause(node, LOOK_MS));
    node_explain(node, "ended while it waited for the ledger, which another server holds");
    return ERR_CLOSED;
}

/* What is here and neither ours nor on its way would be lost to those who ask by the map: so it
 * does not start. */
static err_t
accounts_check(struct node *node, struct page *page)
{
    struct port_ledger_filter filter = {.limit = PAGE};
    do {
        TRY(page_ask(node, page, &filter));
        for (uint32_t i = 0; i < page->request.out_count; i++) {
            const struct ledger_account *account = &page->accounts[i];
            char id[U128_DECIMAL_SIZE];
            filter.timestamp_min = account->timestamp + 1;
            if (!shards_owner_expects(node->owner, account->id)) {
                (void)u128_format(account->id, id);
                node_explain(
                    node,
                    "shard %s: account %s is here, but its slot %u is not by %s",
                    node->settings.shard,
                    id,
                    (unsigned)shard_slot_of_id(account->id),
                    node->settings.ledger_shards);
                return ERR_INVALID;
            }
        }
    } while (page->request.out_count > 0);
    return ERR_OK;
}

static err_t
owner_read(void *context, struct shard_map *ret_map)
{
    struct node *node = context;
    struct shard_problem problem;
    return role_shards_map_read(node, ret_map, &problem);
}

err_t
role_shards_guard(struct node *node, const struct port_ledger_guard **ret_guard)
{
    char message[SHARDS_MESSAGE_SIZE];
    if (node->settings.shard[0] == '\0') {
        return ERR_OK;
    }
    TRY(role_shards_map_open(node));
    const struct shards_owner_parts parts = {
        .map = node->shard_map,
        .name = node->settings.shard,
        .disk = node->disk,
        .folder = node->settings.data,
        .noted = store_is_shared(node->ledger_url),
        .files = os_loop_executor(node->sync_loop),
        .read = owner_read,
        .context = node,
    };
    err_t result = shards_owner_create(&parts, &node->owner, message);
    if (result != ERR_OK) {
        node_explain(
            node,
            "shard %s, %s: %s",
            node->settings.shard,
            node->settings.ledger_shards,
            message[0] == '\0' ? err_text(result) : message);
        return result;
    }
    *ret_guard = shards_owner_guard(node->owner);
    return ERR_OK;
}

err_t
role_shards_own(struct node *node)
{
    if (node->owner == NULL) {
        return ERR_OK;
    }
    struct page *page = calloc(1, sizeof(*page));
    if (page == NULL || sem_init(&page->answered, 0, 0) != 0) {
        free(page);
        node_explain(node, "shards: out of memory");
        return ERR_MEMORY;
    }
    err_t result = accounts_check(node, page);
    (void)sem_destroy(&page->answered);
    free(page);
    TRY(result);
    shards_owner_attach(node->owner, node->ledger_port);
    return ERR_OK;
}
