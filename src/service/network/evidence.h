/*
 * Evidence whose parts a host has, one message each. Bounded: of what is too many the oldest is
 * forgotten, and begins again.
 */
#ifndef NETWORK_EVIDENCE_H
#define NETWORK_EVIDENCE_H

#include "base/list.h"
#include "message.h"

/* Under way at a time, of at most NETWORK_EVIDENCE_MAX bytes each. */
#define NETWORK_EVIDENCES_MAX 16U

struct network_evidences {
    struct list all; /* the oldest first */
    uint32_t count;
};

void network_evidences_init(struct network_evidences *evidences);
void network_evidences_release(struct network_evidences *evidences);

/*
 * The part that `asked` has. ERR_OK: it was the last, and `*ret_whole` is a copy of all, which the
 * caller frees. ERR_INCOMPLETE: it is here. ERR_INVALID: one before it is missing, so all begins
 * again; ERR_MEMORY. A part that is here already changes nothing: of the same id it is the same.
 */
MUST_USE err_t network_evidence_add(
    struct network_evidences *evidences,
    const struct network_asked *asked,
    struct span part,
    char **ret_whole,
    size_t *ret_size);

#endif
