/* What is counted of the client, and told to whoever watches it. */
#include "network/client.h"

#include "base/assert.h"
#include "client_private.h"
#include "trace/exposition.h"

#include <stdio.h>

static const uint16_t types[NETWORK_TYPES] = {100, 200, 220, 420, 600, 620, 800};

static size_t
type_index(uint16_t type)
{
    for (size_t i = 0; i < NETWORK_TYPES; i++) {
        if (types[i] == type - type % 10) {
            return i;
        }
    }
    UNREACHABLE();
}

void
network_client_count(struct network_client *client, uint16_t type, const struct network_code *code)
{
    size_t index = code == NULL ? NETWORK_CODES_MAX : network_code_index(code);
    atomic_fetch_add(&client->answers[type_index(type)][index], 1);
}

uint32_t
network_client_signed_on(const struct network_client *client)
{
    return atomic_load(&client->signed_on);
}

static void
append_requests(const struct network_client *client, struct buf *out)
{
    static const char name[] = "tael_network_requests_total";
    trace_exposition_head(out, name, "counter", "Requests by message type and response code.");
    for (size_t t = 0; t < NETWORK_TYPES; t++) {
        char type[8];
        (void)snprintf(type, sizeof(type), "%04u", (unsigned)types[t]);
        for (size_t c = 0; c <= NETWORK_CODES_MAX; c++) {
            uint64_t count = atomic_load(&client->answers[t][c]);
            const struct network_code *code = network_code_at(c);
            const char *text = code == NULL ? "none" : code->code;
            text = text[0] == '\0' ? "other" : text;
            if (count > 0) {
                trace_exposition_value(
                    out, name, TRACE_LABELS("type", type, "response", text), count);
            }
        }
    }
}

void
network_client_metrics(const struct network_client *client, struct buf *out)
{
    const struct {
        const char *name, *kind, *help;
        uint64_t value;
    } all[] = {
        {"tael_network_connections",
         "gauge",
         "Connections to the card network that there are to be.",
         client->parts.settings.connections},
        {"tael_network_signed_on",
         "gauge",
         "Connections that are signed on.",
         atomic_load(&client->signed_on)},
        {"tael_network_reversals_waiting",
         "gauge",
         "Reversals that the card network has not answered.",
         atomic_load(&client->reversals)},
        {"tael_network_waiting",
         "gauge",
         "Requests that wait for a connection.",
         atomic_load(&client->waiting_count)},
        {"tael_network_repeats_total",
         "counter",
         "Messages that were sent again.",
         atomic_load(&client->repeats)},
        {"tael_network_unmatched_total",
         "counter",
         "Answers to nothing that is asked: late, doubled or not ours.",
         atomic_load(&client->unmatched)},
        {"tael_network_notices_refused_total",
         "counter",
         "News of disputes that make no sense: no others are heard until the network mends them.",
         atomic_load(&client->notices_refused)},
        {"tael_network_malformed_total",
         "counter",
         "What came and is no message.",
         atomic_load(&client->malformed)},
        {"tael_network_connects_total",
         "counter",
         "Attempts to connect.",
         atomic_load(&client->connects)},
        {"tael_network_lost_total",
         "counter",
         "Signed-on connections that were lost.",
         atomic_load(&client->lost)},
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        trace_exposition_single(out, all[i].name, all[i].kind, all[i].help, all[i].value);
    }
    append_requests(client, out);
}
