/* The certificate of the public listener (role_api.c). */
#ifndef TAEL_TLS_H
#define TAEL_TLS_H

#include "node.h"

/* node->tls from tls-cert and tls-key, NULL without them; SIGHUP reads them again. Explains what it
 * refuses. Before the loops start. */
MUST_USE err_t node_tls_open(struct node *node);
/* When the loops have ended. */
void node_tls_close(struct node *node);

#endif
