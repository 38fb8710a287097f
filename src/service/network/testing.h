/* For tests of messages: one to build and read, and one that answers it. */
#ifndef NETWORK_TESTING_H
#define NETWORK_TESTING_H

#include "message.h"

extern struct iso8583_message t_message, t_answered;
extern const struct network_identity t_identity;
extern const struct port_network_card t_card;

/* Over the wire and back, in the dialect. */
void t_travel(const struct iso8583_dialect *dialect, struct iso8583_message *message);
struct port_rail_request t_rail(enum port_rail_operation operation);
/* Into t_message. */
void t_build(const struct port_rail_request *rail, const struct port_network_card *card);

#endif
