#include "evidence.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

struct evidence {
    struct list_link link;
    u128 id; /* of the operation that hands it in */
    uint16_t have, parts;
    size_t size;
    char bytes[]; /* parts * NETWORK_PART */
};

void
network_evidences_init(struct network_evidences *evidences)
{
    list_init(&evidences->all);
    evidences->count = 0;
}

static void
forget(struct network_evidences *evidences, struct evidence *evidence)
{
    ASSERT(evidences->count > 0);
    list_remove(&evidence->link);
    evidences->count--;
    free(evidence);
}

void
network_evidences_release(struct network_evidences *evidences)
{
    LIST_FOREACH_SAFE (&evidences->all, link) {
        forget(evidences, CONTAINER_OF(link, struct evidence, link));
    }
}

static struct evidence *
find(const struct network_evidences *evidences, u128 id)
{
    const struct list_link *head = &evidences->all.head;
    for (struct list_link *link = head->next; link != head; link = link->next) {
        struct evidence *evidence = CONTAINER_OF(link, struct evidence, link);
        if (evidence->id == id) {
            return evidence;
        }
    }
    return NULL;
}

static struct evidence *
make(struct network_evidences *evidences, u128 id, uint16_t parts)
{
    struct evidence *evidence = malloc(sizeof(*evidence) + (size_t)parts * NETWORK_PART);
    if (evidence == NULL) {
        return NULL;
    }
    if (evidences->count == NETWORK_EVIDENCES_MAX) {
        forget(evidences, CONTAINER_OF(list_first(&evidences->all), struct evidence, link));
    }
    evidence->id = id;
    evidence->parts = parts;
    evidence->have = 0;
    evidence->size = 0;
    list_push_back(&evidences->all, &evidence->link);
    evidences->count++;
    return evidence;
}

err_t
network_evidence_add(
    struct network_evidences *evidences,
    const struct network_asked *asked,
    struct span part,
    char **ret_whole,
    size_t *ret_size)
{
    ASSERT(part.size > 0 && part.size <= NETWORK_PART);
    ASSERT(asked->part >= 1 && asked->part <= asked->parts);
    struct evidence *evidence = find(evidences, asked->rail.id);
    if (evidence == NULL && asked->part == 1) {
        evidence = make(evidences, asked->rail.id, asked->parts);
        if (evidence == NULL) {
            return ERR_MEMORY;
        }
    }
    if (evidence == NULL || evidence->parts != asked->parts || asked->part > evidence->have + 1) {
        return ERR_INVALID;
    }
    if (asked->part == evidence->have + 1) {
        memcpy(evidence->bytes + evidence->size, part.data, part.size);
        evidence->size += part.size;
        evidence->have++;
    }
    if (asked->part < evidence->parts) {
        return ERR_INCOMPLETE;
    }
    char *whole = malloc(evidence->size);
    if (whole == NULL) {
        return ERR_MEMORY;
    }
    memcpy(whole, evidence->bytes, evidence->size);
    *ret_whole = whole;
    *ret_size = evidence->size;
    return ERR_OK;
}
