/* What tests of services have in common that stand on a runtime, on the simulated machine. */
#ifndef RESOURCE_TESTING_RESOURCE_TESTING_H
#define RESOURCE_TESTING_RESOURCE_TESTING_H

#include "document/document.h"
#include "os/sim.h"
#include "resource/resource.h"

/* Parts of a runtime whose limits nothing reaches, that logs nowhere, and whose vault fails the
 * test when it is asked: a test changes what it is about. */
struct resource_parts t_runtime_parts(
    struct os_sim *sim, struct os_loop *loop, struct document_store *documents);

/* The store at `url` with the kinds of the runtime and these. The test fails if it cannot be
 * opened. */
struct document_store *t_documents_open(
    const char *url, const struct document_kind *const *kinds, uint32_t count);

#endif
