/*
 * The merchant console: pages for a browser, which ask the same API as everybody else, with the key
 * that a person signs in with. Here are only the files; README.md numbers what they keep to.
 *
 * Constant but for counters: any thread, no memory but the exchange's.
 */
#ifndef CONSOLE_CONSOLE_H
#define CONSOLE_CONSOLE_H

#include "net/server.h"

/* What the pages' addresses begin with, behind the server's own. */
#define CONSOLE_PATH "/console/"

/* True: the path is the console's, and exchange->answer is filled. */
bool console_answer(struct net_exchange *exchange);
/* How often this process has answered so, as Prometheus text. */
void console_metrics_append(struct buf *out);

#endif
