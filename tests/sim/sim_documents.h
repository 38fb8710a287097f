/*
 * A document store whose commits go wrong at chosen times. It owns nothing but what `real` is.
 */
#ifndef SIM_DOCUMENTS_H
#define SIM_DOCUMENTS_H

#include "document/document.h"

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

#endif
