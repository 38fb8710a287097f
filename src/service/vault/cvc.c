#include "cvc.h"

#include "base/assert.h"
#include "base/hash.h"
#include "os/secret.h"

#include <string.h>

struct vault_cvc_entry {
    struct map_link by_token;
    struct list_link age;
    uint64_t kept_ns;
    char token[PORT_VAULT_TOKEN_SIZE];
    char cvc[VAULT_CVC_SIZE];
};

static const struct hash_key token_key = {0x6376632074616231, 0x6376632074616232};

err_t
vault_cvcs_init(struct vault_cvcs *cvcs)
{
    bool locked;
    map_init(&cvcs->map, VAULT_CVC_MAX);
    list_init(&cvcs->oldest_first);
    list_init(&cvcs->free);
    cvcs->entries = os_secret_alloc(VAULT_CVC_MAX * sizeof(*cvcs->entries), &locked);
    if (cvcs->entries == NULL) {
        return ERR_MEMORY;
    }
    for (size_t i = 0; i < VAULT_CVC_MAX; i++) {
        list_push_back(&cvcs->free, &cvcs->entries[i].age);
    }
    return ERR_OK;
}

void
vault_cvcs_release(struct vault_cvcs *cvcs)
{
    os_secret_free(cvcs->entries, VAULT_CVC_MAX * sizeof(*cvcs->entries));
    cvcs->entries = NULL;
    map_release(&cvcs->map);
}

static struct vault_cvc_entry *
find(struct vault_cvcs *cvcs, const char *token)
{
    uint64_t hash = hash_keyed(token_key, span_from_cstr(token));
    for (struct map_link *link = map_find(&cvcs->map, hash); link != NULL; link = map_next(link)) {
        struct vault_cvc_entry *entry = CONTAINER_OF(link, struct vault_cvc_entry, by_token);
        if (strcmp(entry->token, token) == 0) {
            return entry;
        }
    }
    return NULL;
}

static void
forget(struct vault_cvcs *cvcs, struct vault_cvc_entry *entry)
{
    map_remove(&cvcs->map, &entry->by_token);
    list_remove(&entry->age);
    explicit_bzero(entry, sizeof(*entry));
    list_push_front(&cvcs->free, &entry->age);
}

static void
forget_old(struct vault_cvcs *cvcs, uint64_t now_ns)
{
    struct list_link *link;
    while ((link = list_first(&cvcs->oldest_first)) != NULL) {
        struct vault_cvc_entry *entry = CONTAINER_OF(link, struct vault_cvc_entry, age);
        if (now_ns - entry->kept_ns < VAULT_CVC_AGE_NS) {
            return;
        }
        forget(cvcs, entry);
    }
}

static void
make_room(struct vault_cvcs *cvcs)
{
    if (list_is_empty(&cvcs->free)) {
        struct list_link *link = list_first(&cvcs->oldest_first);
        ASSERT(link != NULL);
        forget(cvcs, CONTAINER_OF(link, struct vault_cvc_entry, age));
    }
}

void
vault_cvcs_put(struct vault_cvcs *cvcs, const char *token, struct span cvc, uint64_t now_ns)
{
    ASSERT(cvc.size < VAULT_CVC_SIZE);
    struct vault_cvc_entry *entry = find(cvcs, token);
    if (entry != NULL) {
        forget(cvcs, entry);
    }
    forget_old(cvcs, now_ns);
    make_room(cvcs);
    struct list_link *link = list_pop_front(&cvcs->free);
    ASSERT(link != NULL);
    entry = CONTAINER_OF(link, struct vault_cvc_entry, age);
    entry->kept_ns = now_ns;
    ASSERT(strlen(token) < sizeof(entry->token));
    memcpy(entry->token, token, strlen(token) + 1);
    memcpy(entry->cvc, cvc.data, cvc.size);
    entry->cvc[cvc.size] = '\0';
    uint64_t hash = hash_keyed(token_key, span_from_cstr(token));
    if (map_insert(&cvcs->map, hash, &entry->by_token) != ERR_OK) {
        explicit_bzero(entry, sizeof(*entry));
        list_push_front(&cvcs->free, &entry->age);
        return; /* the check is skipped: the issuer sees no code */
    }
    list_push_back(&cvcs->oldest_first, &entry->age);
}

void
vault_cvcs_take(
    struct vault_cvcs *cvcs, const char *token, uint64_t now_ns, char out[VAULT_CVC_SIZE])
{
    memset(out, 0, VAULT_CVC_SIZE);
    forget_old(cvcs, now_ns);
    struct vault_cvc_entry *entry = find(cvcs, token);
    if (entry != NULL) {
        memcpy(out, entry->cvc, VAULT_CVC_SIZE);
        forget(cvcs, entry);
    }
}
