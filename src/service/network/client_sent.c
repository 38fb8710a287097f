/* The numbers of messages, and what was sent under which of them. */
#include "client_private.h"

#include "base/hash.h"

/* NETWORK-2: no two messages of a terminal have the same DE 7 and DE 11. */
struct network_trace
network_client_trace(struct network_client *client)
{
    uint64_t now_s = os_wall_ns(client->parts.clock) / OS_NS_PER_S;
    if (now_s > client->last_s) {
        client->last_s = now_s;
    }
    client->stan = client->stan % NETWORK_STAN_MAX + 1;
    return (struct network_trace){
        .stan = client->stan,
        .date_time = network_date_time(client->last_s),
    };
}

/* ------------------------------------------------------------------- what is not answered --- */

static uint64_t
trace_hash(const struct network_trace *trace)
{
    return hash_u64(trace->date_time * 1000000 + trace->stan);
}

struct network_pending *
network_sent_find(struct network_client *client, const struct network_trace *trace)
{
    struct map_link *link = map_find(&client->by_trace, trace_hash(trace));
    for (; link != NULL; link = map_next(link)) {
        struct network_pending *pending = CONTAINER_OF(link, struct network_pending, by_trace);
        if (network_trace_equal(&pending->trace, trace)) {
            return pending;
        }
    }
    return NULL;
}

err_t
network_sent_insert(struct network_pending *pending, const struct network_trace *trace)
{
    return map_insert(&pending->client->by_trace, trace_hash(trace), &pending->by_trace);
}

void
network_sent_remove(struct network_pending *pending)
{
    map_remove(&pending->client->by_trace, &pending->by_trace);
}

/* -------------------------------------------------------------------- what was sent lately --- */

static struct network_recent *
recent_place(struct network_client *client, u128 id)
{
    return &client->recent[hash_u128(id) % NETWORK_RECENT];
}

const struct network_recent *
network_recent_find(struct network_client *client, u128 id)
{
    const struct network_recent *recent = recent_place(client, id);
    return recent->type != 0 && recent->id == id ? recent : NULL;
}

void
network_recent_keep(struct network_client *client, const struct network_recent *recent)
{
    *recent_place(client, recent->id) = *recent;
}

void
network_recent_forget(struct network_client *client, u128 id)
{
    struct network_recent *recent = recent_place(client, id);
    if (recent->id == id) {
        recent->type = 0;
    }
}
