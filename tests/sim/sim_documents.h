/*
 * A document store whose commits go wrong at chosen times. It owns nothing but what `real` is.
 */
#ifndef SIM_DOCUMENTS_H
#define SIM_DOCUMENTS_H

#include "document/document.h"

#define SIM_DOCUMENT_ID_SIZE 64

struct json_t;

enum sim_commit_fate {
    SIM_COMMIT_WORKS,
    SIM_COMMIT_FAILS,        /* nothing written, and it says so */
    SIM_COMMIT_DIES_BEFORE,  /* the process dies, nothing written */
    SIM_COMMIT_DIES_AFTER,   /* the process dies, all written, nobody was told */
    SIM_COMMIT_UNKNOWN_DONE, /* the outcome is open, and the store refuses everything afterwards */
    SIM_COMMIT_UNKNOWN_LOST,
};

/* The document store with a commit that can go wrong at a chosen time. */
struct sim_documents {
    struct document_store store; /* first */
    struct document_store *real;
    enum sim_commit_fate fate;
    uint32_t fate_after; /* commits that work before it */
    bool gone;           /* refuses everything */
    bool died;           /* a fate killed the process */
    bool open;
};

/* A closed one; `real` is then opened by the caller. */
void sim_documents_init(struct sim_documents *documents);

/* The kind of this name, or NULL. */
const struct document_kind *sim_kind_find(
    const struct document_kind *const *kinds, uint32_t count, const char *name);

/* Both are borrowed; a reference to the body may be taken. */
typedef void (*sim_documents_each)(void *context, const char *id, struct json_t *body);

/* All documents of a kind, oldest first. */
void sim_documents_list(
    struct sim_documents *documents,
    const struct document_kind *kind,
    uint64_t scope,
    sim_documents_each each,
    void *context);
/* Writes another body, behind everybody's back. */
void sim_documents_damage(
    struct sim_documents *documents,
    const struct document_kind *kind,
    uint64_t scope,
    const char *id,
    const struct json_t *body);

#endif
